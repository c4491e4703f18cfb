// One's own chats: a list to page through and to search.
import { useState } from 'preact/hooks';
import { allAgents } from '../agents.js';
import { list } from '../api.js';
import { useLoad } from '../hooks.js';
import { Button } from '../parts/button.jsx';
import { Check, Field } from '../parts/field.jsx';
import { Badge, Page } from '../parts/page.jsx';
import { Pager } from '../parts/pager.jsx';
import { EmptyState, Loaded } from '../parts/state.jsx';
import { Table } from '../parts/table.jsx';
import { Time } from '../parts/time.jsx';
import { setQuery, usePlace } from '../router.js';
import './chats.css';

const LIMIT = 25;

function SearchBox({ q }) {
  const [words, setWords] = useState(q);
  const send = (event) => {
    event.preventDefault();
    setQuery({ q: words.trim(), offset: '' }, { replace: false });
  };
  const clear = () => {
    setWords('');
    setQuery({ q: '', offset: '' }, { replace: false });
  };
  return (
    <form class="searchbox" role="search" onSubmit={send}>
      <Field label="Search titles and messages" type="search" value={words} onInput={setWords} placeholder="Whole words" />
      <Button type="submit" kind="main" icon="search">Search</Button>
      {q && <Button onClick={clear}>Show all</Button>}
    </form>
  );
}

function Nothing({ q }) {
  if (q) return <EmptyState title={`Nothing found for “${q}”`}>Whole words are searched, in titles and in messages: try fewer or other words, or look among the archived chats too.</EmptyState>;
  return (
    <EmptyState title="You have no chats yet" action={<a class="button main" href="/">Chat with an agent</a>}>
      What you say to the agents on this server’s start page, or through its interface, is kept here for you.
    </EmptyState>
  );
}

export function Chats() {
  const { query } = usePlace();
  const q = query.get('q') ?? '';
  const offset = Number(query.get('offset')) || 0;
  const withArchived = query.get('archived') === '1';
  const agents = useLoad(async () => new Map((await allAgents()).map(({ id, name }) => [id, name])), []);
  const chats = useLoad(async () => ({ q, offset, ...(await list('/api/chats', { limit: LIMIT, offset, messages: 0, q, include_archived: withArchived })) }), [q, offset, withArchived]);
  const columns = [
    { title: 'Title', cell: ({ id, title, is_archived: isArchived }) => <span class="badges"><a href={`#/chats/${id}`}>{title || 'Without a title'}</a>{isArchived && <Badge>archived</Badge>}</span> },
    { title: 'Agent', cell: ({ agent_id: id }) => agents.data?.get(id) ?? <span class="faint">{agents.data ? 'deleted' : ''}</span> },
    { title: 'Messages', class: 'number', cell: ({ message_count: n }) => n },
    { title: 'Last changed', cell: ({ updated_at: at }) => <Time at={at} /> },
  ];
  return (
    <Page title="Your chats" lead="What you yourself said to the agents. Chats of other users and of your site’s visitors are theirs alone: no admin reads them.">
      <div class="filters">
        <SearchBox key={q} q={q} />
        <Check label="Show archived chats too" value={withArchived} onInput={(isOn) => setQuery({ archived: isOn ? '1' : '', offset: '' }, { replace: false })} />
      </div>
      <Loaded from={chats} what="the chats">
        {({ items, total, q: asked, offset: at }) => (
          <>
            <p class="unseen" role="status">{asked ? `${total} chats found for ${asked}` : ''}</p>
            {items.length === 0 ? <Nothing q={asked} /> : <Table caption={asked ? `Chats found for ${asked}` : 'Your chats'} columns={columns} rows={items} />}
            <Pager offset={at} limit={LIMIT} total={total} what="chats" onMove={(next) => setQuery({ offset: next || '' }, { replace: false })} />
          </>
        )}
      </Loaded>
    </Page>
  );
}
