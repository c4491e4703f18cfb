// The team's knowledge: documents are added, looked at, searched and deleted.
import { useEffect, useRef, useState } from 'preact/hooks';
import { explain, list, post, remove } from '../api.js';
import { useForm, useLoad } from '../hooks.js';
import { Button, ConfirmButton } from '../parts/button.jsx';
import { Field, FormProblem } from '../parts/field.jsx';
import { Icon } from '../parts/icon.jsx';
import { Badge, Card, Page } from '../parts/page.jsx';
import { Pager } from '../parts/pager.jsx';
import { EmptyState, Loaded, Notice } from '../parts/state.jsx';
import { Table } from '../parts/table.jsx';
import { Time } from '../parts/time.jsx';
import { toast, toastError } from '../parts/toast.jsx';
import { setQuery, usePlace } from '../router.js';
import { upload } from '../upload.js';
import './documents.css';

const PATH = '/api/v1/documents';
const LIMIT = 25;
const POLL_MS = 3000;
const TYPES = '.txt,.md,.markdown,.html,.htm,.pdf,text/plain,text/markdown,text/html,application/pdf';
const BADGES = { ready: 'good', failed: 'bad', processing: 'info' };

const size = (bytes) => (bytes < 1024 ? `${bytes} B` : bytes < 1048576 ? `${Math.round(bytes / 1024)} KB` : `${(bytes / 1048576).toFixed(1)} MB`);

/** Files on their way, one after the other: {files: [{id, name, part, state, words}], add, clear}. */
function useUploads(onStored) {
  const [files, setFiles] = useState([]);
  const queue = useRef(Promise.resolve());
  const counter = useRef(0);
  const change = (id, what) => setFiles((was) => was.map((file) => (file.id === id ? { ...file, ...what } : file)));
  const send = async (id, file) => {
    change(id, { state: 'sending' });
    try {
      const { status, document } = await upload(PATH, file, (part) => change(id, { part }));
      const words = status === 200 ? 'was there already' : document.status === 'failed' ? 'stored, but only found by words: see below' : 'stored';
      change(id, { state: 'done', part: 1, words });
      onStored();
    } catch (error) {
      change(id, { state: 'failed', words: explain(error) });
    }
  };
  const add = (chosen) => {
    for (const file of chosen) {
      const id = counter.current++;
      setFiles((was) => [...was, { id, name: file.name, part: 0, state: 'waiting', words: 'waiting' }]);
      queue.current = queue.current.then(() => send(id, file));
    }
  };
  return { files, add, clear: () => setFiles((was) => was.filter(({ state }) => state === 'sending' || state === 'waiting')) };
}

function Upload({ onStored }) {
  const { files, add, clear } = useUploads(onStored);
  const [isOver, setOver] = useState(false);
  const picker = useRef(null);
  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    add([...event.dataTransfer.files]);
  };
  const over = (event) => {
    event.preventDefault();
    setOver(true);
  };
  const isRunning = files.some(({ state }) => state === 'sending' || state === 'waiting');
  return (
    <Card title="Add documents">
      <div class={`drop ${isOver ? 'over' : ''}`} onDragOver={over} onDragLeave={() => setOver(false)} onDrop={drop}>
        <Icon name="document" />
        <p>Drop files here: text, Markdown, HTML or PDF.</p>
        <Button kind="main" onClick={() => picker.current.click()}>Choose files</Button>
        <input ref={picker} hidden type="file" multiple accept={TYPES} aria-label="Documents to add" onChange={(event) => {
          add([...event.currentTarget.files]);
          event.currentTarget.value = '';
        }} />
      </div>
      {files.length > 0 && (
        <>
          <ul class="uploads" aria-label="Uploads" aria-live="polite">
            {files.map(({ id, name, part, state, words }) => (
              <li key={id} class={state}>
                <span class="upload-name">{name}</span>
                {state === 'sending' && (part < 1 ? <progress value={part} max={1} aria-label={`Sending ${name}`} /> : <span class="faint">reading it …</span>)}
                {state !== 'sending' && <span class={state === 'failed' ? 'problem' : 'faint'}>{words}</span>}
              </li>
            ))}
          </ul>
          {!isRunning && <Button kind="quiet" onClick={clear}>Clear this list</Button>}
        </>
      )}
    </Card>
  );
}

function Match({ match: { title, content, similarity } }) {
  return (
    <li>
      <div class="match-head">
        <strong>{title}</strong>
        <Badge kind="info">{similarity === null ? 'found by words' : `similarity ${similarity.toFixed(3)}`}</Badge>
      </div>
      <p class="match-text">{content}</p>
    </li>
  );
}

function Search() {
  const form = useForm({ query: '', match_count: '5', match_threshold: '' }, { isGuarded: false });
  const [found, setFound] = useState(null);
  const send = async (event) => {
    event.preventDefault();
    const answer = await form.submit(({ query, match_count, match_threshold }) => post(`${PATH}/search`, {
      query: query.trim(), match_count: Number(match_count), ...(match_threshold === '' ? {} : { match_threshold: Number(match_threshold) }),
    }));
    if (answer) setFound(answer);
  };
  const how = found?.mode === 'vector' ? 'by meaning' : 'by words';
  return (
    <Card title="Try a search" lead="What an agent with knowledge would find for a question.">
      <form onSubmit={send}>
        <Field label="Question" required type="search" maxLength={32000} placeholder="How do I return a parcel?" {...form.bind('query')} />
        <div class="pair">
          <Field label="At most" type="number" min={1} max={50} {...form.bind('match_count')} hint="Pieces, 1 to 50." />
          <Field label="Least similarity" isOptional type="number" min={0} max={1} step="any" hint="0 to 1. Empty: any." {...form.bind('match_threshold')} />
        </div>
        <FormProblem form={form} />
        <Button kind="main" type="submit" icon="search" isBusy={form.isBusy}>Search</Button>
      </form>
      <div role="status" class="found">
        {found && (found.results.length === 0 ? <p>Nothing was found {how}. Try other words, or a lower similarity.</p> : <p>{found.results.length} {found.results.length === 1 ? 'piece' : 'pieces'}, {how}, best first:</p>)}
      </div>
      {found?.warning && <Notice kind="warn">{found.warning}</Notice>}
      {found && <ol class="matches" aria-label="Matches">{found.results.map((match) => <Match key={match.chunk_id} match={match} />)}</ol>}
    </Card>
  );
}

function State({ document }) {
  return (
    <span class="two-lines">
      <span><Badge kind={BADGES[document.status]}>{document.status}</Badge></span>
      {document.error && <span class="small problem">{document.error}</span>}
    </span>
  );
}

export function Documents() {
  const { query } = usePlace();
  const offset = Number(query.get('offset')) || 0;
  const documents = useLoad(() => list(PATH, { limit: LIMIT, offset }), [offset]);
  const isWorking = documents.data?.items.some(({ status }) => status === 'processing');
  useEffect(() => {
    if (!isWorking) return undefined;
    const timer = setTimeout(documents.reload, POLL_MS);
    return () => clearTimeout(timer);
  }, [documents.data]);

  const act = async (work, words) => {
    try {
      await work();
      toast(words);
    } catch (error) {
      toastError(error);
    }
    documents.reload();
  };
  const drop = ({ id, title }) => act(() => remove(`${PATH}/${id}`), `${title} is deleted.`);
  const again = ({ id, title }) => act(async () => {
    const { status, error } = await post(`${PATH}/${id}/embed`);
    if (status === 'failed') throw new Error(error ?? 'It failed once more');
  }, `${title} is ready.`);
  const columns = [
    { title: 'Title', cell: ({ title, content_type: type }) => <span class="two-lines"><strong>{title}</strong><span class="faint small">{type}</span></span> },
    { title: 'State', cell: (document) => <State document={document} /> },
    { title: 'Size', class: 'number', cell: ({ byte_count: bytes }) => size(bytes) },
    { title: 'Pieces', class: 'number', cell: ({ chunk_count: n }) => n },
    { title: 'Added', cell: ({ created_at: at }) => <Time at={at} /> },
    {
      title: 'Actions', isHidden: true,
      cell: (document) => (
        <div class="actions">
          {document.status === 'failed' && <Button icon="again" aria-label={`Try ${document.title} again`} onClick={() => again(document)}>Try again</Button>}
          <ConfirmButton question={`Delete ${document.title}?`} consequence="Agents find nothing of it any more. This cannot be undone." aria-label={`Delete ${document.title}`} onConfirm={() => drop(document)}>Delete</ConfirmButton>
        </div>
      ),
    },
  ];
  return (
    <Page title="Documents" lead="What the team knows. Agents whose knowledge is switched on answer from it.">
      <Upload onStored={documents.reload} />
      <Loaded from={documents} what="the documents">
        {({ items, total }) => (total === 0 ? (
          <EmptyState title="No documents yet">Add the first one above: an FAQ, terms, a manual. Then try a question on it here, and switch knowledge on in an agent.</EmptyState>
        ) : (
          <>
            <Table caption="Documents of the team" columns={columns} rows={items} />
            <Pager offset={offset} limit={LIMIT} total={total} what="documents" onMove={(next) => setQuery({ offset: next || '' }, { replace: false })} />
            <Search />
          </>
        ))}
      </Loaded>
    </Page>
  );
}
