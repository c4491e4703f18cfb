// The team's settings.
import { agentOptions, allAgents } from '../agents.js';
import { get, put } from '../api.js';
import { useForm, useLoad } from '../hooks.js';
import { countText } from '../money.js';
import { Button, CopyButton } from '../parts/button.jsx';
import { Check, Field, FormProblem } from '../parts/field.jsx';
import { Card, Page } from '../parts/page.jsx';
import { Loaded, Notice } from '../parts/state.jsx';
import { Time } from '../parts/time.jsx';
import { toast } from '../parts/toast.jsx';
import { update } from '../session.js';

const asNumber = (text) => (/^\d+$/.test(String(text).trim()) ? Number(text) : text);
/** A copy without what is empty. */
const filled = (object) => Object.fromEntries(Object.entries(object).filter(([, value]) => value !== '' && value !== null && value !== undefined));

const valuesOf = ({ name, slug, settings, retention_days }) => ({
  name, slug,
  retention_days: retention_days ?? '',
  open_registration: settings.open_registration !== false,
  require_verified_email: settings.require_verified_email === true,
  max_users: settings.max_users ?? '',
  default_agent_id: settings.default_agent_id ?? '',
  base_url: settings.embeddings?.base_url ?? '',
  model: settings.embeddings?.model ?? '',
  dimensions: settings.embeddings?.dimensions ?? '',
});

/** The settings as they shall be: others that the team keeps there stay. */
function settingsOf(team, values) {
  const { base_url, model, dimensions } = values;
  const embeddings = filled({ ...team.settings.embeddings, base_url: base_url.trim(), model: model.trim(), dimensions: asNumber(dimensions) });
  return {
    ...filled({ ...team.settings, max_users: asNumber(values.max_users), default_agent_id: values.default_agent_id, embeddings: undefined }),
    open_registration: values.open_registration,
    require_verified_email: values.require_verified_email,
    ...(Object.keys(embeddings).length > 0 ? { embeddings } : {}),
  };
}

/** The server calls a setting's field settings.max_users; the form calls it max_users. */
function rename(error) {
  error.fields = Object.fromEntries(Object.entries(error.fields ?? {}).map(([field, words]) => [field.split('.').at(-1), words]));
  return error;
}

/** How long chats are kept. Fewer days than before delete something: that is said before it is saved. */
function Retention({ team: { retention_days: before, retention_days_max: most }, form }) {
  const days = asNumber(form.values.retention_days);
  const isFewer = typeof days === 'number' && days > 0 && days < (before ?? most ?? Infinity);
  const byItself = most ? `as the server is set up, ${countText(most)} days, which are also the most` : 'for ever';
  return (
    <Card title="How long chats are kept" lead="A chat in which nothing happened for so many days is deleted, with all its messages. Sessions of visitors, too.">
      <div class="stack">
        <Field label="Days" isOptional inputMode="numeric" autocomplete="off" hint={`Empty: ${byItself}.`} {...form.bind('retention_days')} />
        {isFewer && <Notice kind="warn"><p>Within an hour of saving, chats in which nothing happened for {countText(days)} {days === 1 ? 'day' : 'days'} are deleted. This cannot be undone.</p></Notice>}
      </div>
    </Card>
  );
}

function Settings({ team, agents, onSaved }) {
  const form = useForm(valuesOf(team));
  const { bind } = form;
  const send = (event) => {
    event.preventDefault();
    form.submit(async (values) => {
      const saved = await put('/api/team', { name: values.name.trim(), ...(values.slug === team.slug ? {} : { slug: values.slug.trim() }), retention_days: values.retention_days === '' ? null : asNumber(values.retention_days), settings: settingsOf(team, values) }).catch((error) => {
        throw rename(error);
      });
      form.reset(valuesOf(saved));
      onSaved(saved);
      update({ team: saved });
      toast('The team’s settings are saved.');
    });
  };
  return (
    <form onSubmit={send}>
      <Card title="Name">
        <div class="stack">
          <div class="pair">
            <Field label="Name" required maxLength={200} {...bind('name')} />
            <Field label="Short name" required maxLength={63} hint="For the command line: small letters, digits and single hyphens." {...bind('slug')} />
          </div>
          <p class="id-line"><span>Team id</span><code>{team.id}</code><CopyButton text={team.id} label="Copy the id" kind="quiet" /></p>
          <p class="faint">Since <Time at={team.created_at} />.</p>
        </div>
      </Card>
      <Card title="Who may join">
        <div class="stack">
          <Check label="People may make their own account" hint="Switched off, only admins add users." {...bind('open_registration')} />
          <Check label="They must confirm their e-mail address first" hint="The server must be able to send mail. Admins, and users whom an admin adds, need not." {...bind('require_verified_email')} />
          <Field label="Most users" isOptional inputMode="numeric" hint="Empty: as many as there are." {...bind('max_users')} />
        </div>
      </Card>
      <Card title="Default agent">
        <Field label="Answers when a chat names no agent" as="select" options={[['', 'The oldest agent that is switched on'], ...agentOptions(agents)]} {...bind('default_agent_id')} />
      </Card>
      <Retention team={team} form={form} />
      <Card title="Search by meaning" lead="Who turns the team’s documents into numbers that can be compared. Empty: as the server is set up. Without any, documents are searched by words.">
        <div class="stack">
          <Field label="Base URL" isOptional type="url" placeholder="https://api.openai.com/v1" hint="The key comes from the team’s provider keys." {...bind('base_url')} />
          <div class="pair">
            <Field label="Model" isOptional placeholder="text-embedding-3-small" {...bind('model')} />
            <Field label="Numbers for each piece" isOptional inputMode="numeric" placeholder="1536" {...bind('dimensions')} />
          </div>
        </div>
      </Card>
      <FormProblem form={form} />
      <div class="actions">
        <Button kind="main" type="submit" isBusy={form.isBusy} disabled={!form.isDirty}>Save settings</Button>
        {form.isDirty && <Button onClick={() => form.reset(valuesOf(team))}>Discard changes</Button>}
      </div>
    </form>
  );
}

async function loadAll() {
  const [team, agents] = await Promise.all([get('/api/team'), allAgents()]);
  return { team, agents };
}

export function Team() {
  const loaded = useLoad(loadAll, []);
  return (
    <Page title="Team settings">
      <Loaded from={loaded} what="the settings">
        {({ team, agents }) => <Settings team={team} agents={agents} onSaved={(saved) => loaded.setData({ team: saved, agents })} />}
      </Loaded>
    </Page>
  );
}
