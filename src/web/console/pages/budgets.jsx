// What the team, its agents, keys and users may use in a day or a month, and what they have used.
import { useState } from 'preact/hooks';
import { allAgents } from '../agents.js';
import { get, remove } from '../api.js';
import { useLoad } from '../hooks.js';
import { countText, moneyText, spentText } from '../money.js';
import { Button, ConfirmButton } from '../parts/button.jsx';
import { dayName } from '../parts/chart.jsx';
import { Field } from '../parts/field.jsx';
import { Meter } from '../parts/meter.jsx';
import { Badge, Page } from '../parts/page.jsx';
import { Pager } from '../parts/pager.jsx';
import { EmptyState, Loaded, Notice } from '../parts/state.jsx';
import { Table } from '../parts/table.jsx';
import { toast, toastError } from '../parts/toast.jsx';
import { setQuery, usePlace } from '../router.js';
import { BudgetForm } from './budget_form.jsx';
import { partsOf, standing, stateOf, unpriced } from './budget_values.js';
import { labelOf } from './providers.js';
import './budgets.css';

const LIMIT = 50;
const KINDS = { team: 'the whole team', agent: 'agent', key: 'API key', user: 'user' };
const ORDER = ['team', 'agent', 'key', 'user'];
const PERIODS = { day: 'a day', month: 'a month' };
const HREFS = { agent: (id) => `#/agents/${id}`, user: (id) => `#/users/${id}` };
const SHOWN_SCOPES = [['', 'Everyone'], ['team', 'The team'], ['agent', 'Agents'], ['key', 'API keys'], ['user', 'Users']];
const SHOWN_STATES = [['', 'Any state'], ['warn', 'Nearly spent'], ['bad', 'Spent']];
const WORDS = { tokens: 'tokens', requests: 'requests' };

const nameOf = ({ subject_name: name, subject_id: id }) => name ?? id;

async function loadAll() {
  const [budgets, { currency, prices }, agents] = await Promise.all([get('/api/budgets'), get('/api/prices'), allAgents()]);
  const rank = ({ scope }) => ORDER.indexOf(scope);
  budgets.sort((one, other) => rank(one) - rank(other) || nameOf(one).localeCompare(nameOf(other)) || one.period.localeCompare(other.period));
  return { budgets, currency, prices, agents };
}

function Whose({ budget }) {
  const { scope, subject_id: id, subject_name: name, period } = budget;
  const href = name && HREFS[scope]?.(id);
  return (
    <span class="two-lines">
      {href ? <a href={href}>{name}</a> : <strong>{name ?? 'deleted'}</strong>}
      <span class="faint small">{name ? KINDS[scope] : `${KINDS[scope]} ${id}`}, {PERIODS[period]}</span>
    </span>
  );
}

function Spent({ budget }) {
  return partsOf(budget).map(({ unit, limit, spent, part, held }) => {
    const isMoney = unit === 'money_micros';
    const words = isMoney ? `${spentText(spent, budget.currency)} of ${moneyText(limit, budget.currency)}` : `${countText(spent)} of ${countText(limit)} ${WORDS[unit]}`;
    return (
      <Meter key={unit} kind={stateOf(part)} part={part} held={held} label={`${Math.floor(part * 100)} %`}>
        {words}{part < 1 && part + held >= 1 && <span class="faint small"> (the rest is held by replies that run)</span>}
      </Meter>
    );
  });
}

function State({ budget }) {
  const { kind, words } = standing(budget);
  const { period_end: end } = budget;
  return <span class="two-lines"><span><Badge kind={kind}>{words}</Badge></span><span class="faint small">renews <time dateTime={end} title={end}>{dayName(end.slice(0, 10))}</time></span></span>;
}

/** What the price table does not know costs nothing, so that a limit of money is never reached. */
function Unpriced({ agents, budgets, prices }) {
  const unknown = unpriced(agents, prices);
  if (unknown.length === 0 || !budgets.some(({ money_micros: micros }) => micros !== null)) return null;
  return (
    <Notice kind="warn">
      <p><strong>Not all that is used counts as money.</strong> There is no price for what these agents ask: {unknown.map(({ id, name, model }, i) => <span key={id}>{i > 0 && ', '}<a href={`#/agents/${id}`}>{name}</a>{model && ` (${model})`}</span>)}. Ask the operator to put it into the price table (<code>budgets.prices</code>), or limit tokens.</p>
    </Notice>
  );
}

function Prices({ prices, currency }) {
  if (prices.length === 0) return null;
  const columns = [
    { title: 'Provider', cell: ({ provider }) => labelOf(provider) },
    { title: 'Model', cell: ({ model }) => (model === '*' ? <span class="faint">any other</span> : <code>{model || '–'}</code>) },
    { title: 'A million tokens in', class: 'number', cell: ({ input_micros: micros }) => moneyText(micros, currency) },
    { title: 'A million tokens out', class: 'number', cell: ({ output_micros: micros }) => moneyText(micros, currency) },
  ];
  return (
    <details class="prices">
      <summary>What models cost here</summary>
      <Table caption="Prices of models" columns={columns} rows={prices} keyOf={({ provider, model }) => `${provider} ${model}`} />
      <p class="hint">The operator’s table; the first row that fits counts. A star stands for any rest of a name.</p>
    </details>
  );
}

function List({ data, onChange, onDelete, onMake }) {
  const { query } = usePlace();
  const [scope, state, offset] = [query.get('scope') ?? '', query.get('state') ?? '', Number(query.get('offset')) || 0];
  const change = (what) => setQuery({ offset: '', ...what }, { replace: false });
  const { budgets } = data;
  const shown = budgets.filter((budget) => (!scope || budget.scope === scope) && (!state || standing(budget).kind === state));
  if (budgets.length === 0) {
    return (
      <EmptyState title="No budget yet" action={<Button kind="main" icon="plus" onClick={onMake}>Set the first budget</Button>}>
        A budget says how much money, how many tokens or requests the team, an agent, a key or a user may use in a day or a month. What is spent is refused until the next one begins. Without a budget nothing is limited here.
      </EmptyState>
    );
  }
  const columns = [
    { title: 'Whose', class: 'budget-whose', cell: (budget) => <Whose budget={budget} /> },
    { title: 'Spent', class: 'budget-spent', cell: (budget) => <div class="budget-meters"><Spent budget={budget} /></div> },
    { title: 'State', cell: (budget) => <State budget={budget} /> },
    {
      title: 'Actions', isHidden: true,
      cell: (budget) => (
        <div class="actions">
          {budget.subject_name && <Button aria-label={`Change ${PERIODS[budget.period]} of ${nameOf(budget)}`} onClick={() => onChange(budget)}>Change</Button>}
          <ConfirmButton question={`Delete the budget of ${nameOf(budget)} for ${PERIODS[budget.period]}?`} consequence="From the next message on it limits nothing any more. What was used stays in the usage." confirmLabel="Delete budget" aria-label={`Delete ${PERIODS[budget.period]} of ${nameOf(budget)}`} onConfirm={() => onDelete(budget)}>Delete</ConfirmButton>
        </div>
      ),
    },
  ];
  return (
    <>
      <Unpriced {...data} />
      <div class="filters">
        <Field label="Whose" as="select" value={scope} options={SHOWN_SCOPES} onInput={(next) => change({ scope: next })} />
        <Field label="State" as="select" value={state} options={SHOWN_STATES} onInput={(next) => change({ state: next })} />
      </div>
      {shown.length === 0 ? <EmptyState title="No budget is like that">Choose other filters above.</EmptyState> : (
        <>
          <Table caption="Budgets of the team" columns={columns} rows={shown.slice(offset, offset + LIMIT)} />
          <Pager offset={offset} limit={LIMIT} total={shown.length} what="budgets" onMove={(next) => setQuery({ offset: next || '' }, { replace: false })} />
        </>
      )}
      <Prices {...data} />
    </>
  );
}

export function Budgets() {
  const loaded = useLoad(loadAll, []);
  const [open, setOpen] = useState(null); // {budget}: the dialog's; null: none
  const close = () => setOpen(null);
  const done = () => {
    close();
    toast('The budget is set. It counts from the next message.');
    loaded.reload();
  };
  const drop = async (budget) => {
    try {
      await remove(`/api/budgets/${budget.id}`);
      toast('The budget is deleted.');
    } catch (error) {
      toastError(error);
    }
    loaded.reload();
  };
  const make = () => setOpen({ budget: null });
  return (
    <Page title="Budgets" lead="How much the team, its agents, keys and users may use in a day or a month of UTC." actions={<Button kind="main" icon="plus" disabled={!loaded.data} onClick={make}>Set a budget</Button>}>
      <Loaded from={loaded} what="the budgets">
        {(data) => (
          <>
            <List data={data} onMake={make} onChange={(budget) => setOpen({ budget })} onDelete={drop} />
            {open && <BudgetForm {...data} budget={open.budget} title={open.budget ? `Change the budget of ${nameOf(open.budget)} for ${PERIODS[open.budget.period]}` : 'Set a budget'} onDone={done} onClose={close} />}
          </>
        )}
      </Loaded>
    </Page>
  );
}
