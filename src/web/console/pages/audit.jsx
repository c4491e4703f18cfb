// Who changed what in the team, newest first.
import { list } from '../api.js';
import { useLoad } from '../hooks.js';
import { Field } from '../parts/field.jsx';
import { Page } from '../parts/page.jsx';
import { Pager } from '../parts/pager.jsx';
import { EmptyState, Loaded } from '../parts/state.jsx';
import { Table } from '../parts/table.jsx';
import { Time } from '../parts/time.jsx';
import { setQuery, usePlace } from '../router.js';
import './audit.css';

const LIMIT = 50;
const ACTORS = [['', 'Everyone'], ['user', 'Users'], ['operator', 'The operator'], ['key', 'API keys'], ['anyone', 'People who are not known'], ['erased', 'People who were erased']];
const SUBJECTS = [['', 'Everything'], ['agent', 'Agents'], ['api_key', 'API keys'], ['provider_key', 'Provider keys'], ['budget', 'Budgets'], ['webhook', 'Webhooks'], ['user', 'Users and logins'], ['team', 'The team'], ['site', 'WordPress sites'], ['erasure', 'Erasures']];
const ACTORS_OF_ROWS = { anyone: 'Somebody not known', erased: 'Somebody who was erased', key: 'An API key', operator: 'The operator', user: 'A user who is gone' };
const KINDS = { agent: 'agent', api_key: 'API key', budget: 'budget', erasure: 'erasure', provider_key: 'provider key', site: 'site', team: 'team', user: 'user', webhook: 'webhook' };
const VERBS = { create: 'made', delete: 'deleted', login: 'signed in', login_failed: 'was tried with a wrong password', password: 'has a new password', register: 'registered itself', revoke: 'revoked', secret: 'has a new secret', set: 'set', update: 'changed', user: 'of a user', visitor: 'of a visitor' };

/** "agent changed"; what is not known here is shown as it came. */
function wordsOf({ action, subject_kind: kind }) {
  const verb = VERBS[action.slice(action.indexOf('.') + 1)];
  const words = verb ? `${KINDS[kind] ?? kind} ${verb}` : action;
  return words[0].toUpperCase() + words.slice(1);
}

/** "role: user → admin" */
function Change({ field, from, to }) {
  if (from === undefined && to === undefined) return field;
  if (from === undefined) return `${field}: ${to}`;
  return to === undefined ? `${field}: was ${from}` : `${field}: ${from} → ${to}`;
}

const columns = [
  { title: 'When', cell: ({ created_at: at }) => <Time at={at} /> },
  { title: 'Who', cell: ({ actor, actor_email: email }) => email ?? <span class="faint">{ACTORS_OF_ROWS[actor] ?? actor}</span> },
  {
    title: 'What',
    cell: (row) => (
      <span class="two-lines"><strong>{wordsOf(row)}</strong>{row.subject_kind !== 'team' && <span class="faint small">{row.subject_name ?? row.subject_id}</span>}</span>
    ),
  },
  {
    title: 'Fields',
    cell: ({ changes }) => (changes.length === 0 ? <span class="faint">–</span> : <ul class="audit-changes">{changes.map((change, i) => <li key={i}><Change {...change} /></li>)}</ul>),
  },
  { title: 'From', cell: ({ address }) => address ?? <span class="faint">the command line</span> },
];

function Filters({ query }) {
  const change = (what) => setQuery({ ...what, offset: '' }, { replace: false });
  const [from, to] = [query.get('from') ?? '', query.get('to') ?? ''];
  return (
    <div class="filters">
      <Field label="Who" as="select" value={query.get('actor') ?? ''} options={ACTORS} onInput={(actor) => change({ actor })} />
      <Field label="What" as="select" value={query.get('subject') ?? ''} options={SUBJECTS} onInput={(subject) => change({ subject })} />
      <Field label="From" type="date" value={from} max={to || undefined} onInput={(day) => change({ from: day })} />
      <Field label="To" type="date" value={to} min={from || undefined} onInput={(day) => change({ to: day })} />
    </div>
  );
}

export function Audit() {
  const { query } = usePlace();
  const offset = Number(query.get('offset')) || 0;
  const asked = Object.fromEntries(['actor', 'subject', 'from', 'to'].flatMap((name) => (query.get(name) ? [[name, query.get(name)]] : [])));
  const rows = useLoad(() => list('/api/audit', { limit: LIMIT, offset, ...asked }), [offset, ...['actor', 'subject', 'from', 'to'].map((name) => asked[name])]);
  return (
    <Page title="Audit trail" lead="Who changed which agent, key, user or setting, and when admins signed in. Days are those of UTC.">
      <Filters query={query} />
      <Loaded from={rows} what="the rows">
        {({ items, total }) => (items.length === 0
          ? <EmptyState title="Nothing like that happened">Choose other filters above, or other days.</EmptyState>
          : (
            <>
              <Table caption="Who changed what" columns={columns} rows={items} />
              <Pager offset={offset} limit={LIMIT} total={total} what="rows" onMove={(next) => setQuery({ offset: next || '' }, { replace: false })} />
            </>
          ))}
      </Loaded>
    </Page>
  );
}
