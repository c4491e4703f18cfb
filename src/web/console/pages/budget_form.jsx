// The dialog that makes a budget, or changes what one allows.
import { agentOptions } from '../agents.js';
import { listAll, put } from '../api.js';
import { useForm, useLoad } from '../hooks.js';
import { moneyText, readMoney } from '../money.js';
import { FormDialog } from '../parts/dialog.jsx';
import { Field } from '../parts/field.jsx';
import { Notice, Problem } from '../parts/state.jsx';
import { EMPTY, PERIODS, SCOPES, bodyOf, valuesOf } from './budget_values.js';

const CHOOSE = ['', 'Choose …'];
const wait = (loaded) => [['', loaded.isLoading ? 'Loading …' : 'There is none']];
const optionsOf = (loaded, option) => (loaded.data?.length > 0 ? [CHOOSE, ...loaded.data.map(option)] : wait(loaded));

function UserField({ form }) {
  const users = useLoad(() => listAll('/api/users'), []);
  if (users.problem) return <Problem onRetry={users.reload}>{users.problem}</Problem>;
  return <Field label="User" as="select" required options={optionsOf(users, ({ id, email, full_name: name }) => [id, name ? `${name}, ${email}` : email])} {...form.bind('subject_id')} />;
}

function KeyField({ form, agents }) {
  const agent = form.values.agent || agents[0]?.id;
  const keys = useLoad(async () => (agent ? listAll(`/api/agents/${agent}/api-keys`) : []), [agent]);
  const choose = (id) => {
    form.set('agent', id);
    form.set('subject_id', '');
  };
  return (
    <div class="pair">
      <Field label="Of the agent" as="select" options={agents.length > 0 ? agentOptions(agents) : [['', 'There is none']]} value={agent} onInput={choose} />
      <Field label="API key" as="select" required options={optionsOf(keys, ({ id, name, prefix }) => [id, name || `${prefix}…`])} {...form.bind('subject_id')} error={keys.problem || form.errors.subject_id} />
    </div>
  );
}

/** Who it is of: a subject that is chosen; of the team there is but one. */
function Subject({ form, agents }) {
  if (form.values.scope === 'user') return <UserField form={form} />;
  if (form.values.scope === 'key') return <KeyField form={form} agents={agents} />;
  if (form.values.scope === 'agent') return <Field label="Agent" as="select" required options={agents.length > 0 ? [CHOOSE, ...agentOptions(agents)] : [['', 'There is none']]} {...form.bind('subject_id')} />;
  return null;
}

function Limits({ form, currency, prices }) {
  const micros = readMoney(form.values.money_micros);
  const asRead = micros ? `That is ${moneyText(micros, currency)}.` : `Such as 20 or 12.50.`;
  return (
    <fieldset class="choices">
      <legend>How much it may use</legend>
      <p class="hint">What is left empty is not limited.</p>
      <div class="stack">
        <Field label={`Money (${currency})`} isOptional inputMode="decimal" autocomplete="off" hint={prices.length > 0 ? `${asRead} Counted by the operator’s prices.` : `${asRead} The operator has set no prices yet: until then nothing costs money.`} {...form.bind('money_micros')} />
        <div class="pair">
          <Field label="Tokens" isOptional inputMode="numeric" autocomplete="off" hint="Of prompts and replies." {...form.bind('tokens')} />
          <Field label="Requests" isOptional inputMode="numeric" autocomplete="off" hint="Messages to agents." {...form.bind('requests')} />
        </div>
      </div>
    </fieldset>
  );
}

/** budget: the one to change; null: a new one. budgets: those there are. onDone gets what was saved. */
export function BudgetForm({ budget, budgets, agents, prices, currency, title, onDone, onClose }) {
  const form = useForm(budget ? valuesOf(budget) : EMPTY, { isGuarded: false });
  const { scope, subject_id, period } = form.values;
  const other = !budget && budgets.find((one) => one.scope === scope && one.period === period && (scope === 'team' || one.subject_id === subject_id));
  const send = async (event) => {
    event.preventDefault();
    const saved = await form.submit((values) => put('/api/budgets', bodyOf(values)));
    if (saved) onDone(saved);
  };
  const setScope = (next) => {
    form.set('scope', next);
    form.set('subject_id', '');
  };
  return (
    <FormDialog title={title} form={form} action={budget ? 'Save' : 'Set budget'} onSend={send} onClose={onClose}>
      {!budget && (
        <>
          <div class="pair">
            <Field label="For" as="select" options={SCOPES} {...form.bind('scope')} onInput={setScope} />
            <Field label="In" as="select" options={PERIODS} hint="By UTC." {...form.bind('period')} />
          </div>
          <Subject key={scope} form={form} agents={agents} />
          {other && <Notice kind="warn"><p>There is one already: these limits take the place of its own.</p></Notice>}
        </>
      )}
      <Limits form={form} currency={currency} prices={prices} />
    </FormDialog>
  );
}
