// How one agent's widget looks, where it may appear, and the line that puts it there.
import { useState } from 'preact/hooks';
import { ApiError, get, put } from '../api.js';
import { useForm, useLoad } from '../hooks.js';
import { linesOf } from '../lines.js';
import { Button, CopyButton } from '../parts/button.jsx';
import { Field } from '../parts/field.jsx';
import { Card, Code } from '../parts/page.jsx';
import { Loaded, Notice } from '../parts/state.jsx';
import { toast } from '../parts/toast.jsx';
import { LANGUAGES } from '../../widget/words.js';
import { AgentPage, SaveBar } from './agent.jsx';
import { OriginsField } from './agent_form.jsx';
import { WidgetPreview } from './widget_preview.jsx';
import { htmlOf, widgetOf, widgetValues, wordpressOf } from './widget_values.js';

const THEMES = [['', 'As the visitor’s device'], ['light', 'Light'], ['dark', 'Dark']];
const POSITIONS = [['', 'As the language reads'], ['right', 'Right'], ['left', 'Left']];
const LANGUAGE_OPTIONS = [['', 'As the page or the browser'], ...LANGUAGES.toSorted().map((tag) => [tag, nameOf(tag)])];

function nameOf(tag) {
  return `${new Intl.DisplayNames(['en'], { type: 'language' }).of(tag)} (${tag})`;
}

/** The server names config.widget.title what is the field title here. */
function renamed(error) {
  const fields = Object.fromEntries(Object.entries(error.fields ?? {}).map(([name, said]) => [name.replace('config.widget.', ''), said]));
  return new ApiError(error.status, error.message, fields);
}

function ColorField({ form }) {
  const { value, ...bound } = form.bind('color');
  return (
    <div class="color-field">
      <Field label="Colour" placeholder="#0b6b69" maxLength={7} spellcheck={false} isOptional hint="As #rrggbb. Words on it turn light or dark by themselves." value={value} {...bound} />
      <input type="color" aria-label="Choose the colour" value={/^#[0-9a-f]{6}$/i.test(value) ? value : '#0b6b69'} onInput={(event) => form.set('color', event.currentTarget.value)} />
    </div>
  );
}

function Looks({ form, agent }) {
  const language = form.values.language;
  const languages = language === '' || LANGUAGES.includes(language) ? LANGUAGE_OPTIONS : [...LANGUAGE_OPTIONS, [language, language]];
  return (
    <Card title="How it looks">
      <div class="fields">
        <Field label="Title" isOptional maxLength={80} placeholder={agent.name} {...form.bind('title')} />
        <Field as="textarea" label="Greeting" rows={3} isOptional maxLength={1000} hint="Shown before the first message. Markdown: **bold**, lists, links." {...form.bind('greeting')} />
        <Field as="textarea" label="Suggested questions" rows={3} isOptional hint="One a line, at most six. A click asks them." {...form.bind('suggestions')} />
        <Field label="Words in the empty field" isOptional maxLength={80} placeholder="Write a message" {...form.bind('placeholder')} />
        <ColorField form={form} />
        <div class="pair">
          <Field as="select" label="Light or dark" options={THEMES} {...form.bind('theme')} />
          <Field as="select" label="Corner" options={POSITIONS} {...form.bind('position')} />
          <Field as="select" label="Language of its own words" options={languages} {...form.bind('language')} />
        </div>
      </div>
    </Card>
  );
}

function Origins({ form }) {
  const origins = linesOf(form.values.allowed_origins);
  const isIn = origins.includes(location.origin) || origins.includes('*');
  return (
    <Card title="Where it may appear">
      <div class="fields">
        <OriginsField form={form} />
        {origins.length === 0 && <Notice kind="warn"><p>No page may show it yet: add the address of your site, such as https://shop.example.</p></Notice>}
        {origins.includes('*') && <Notice kind="warn"><p>Any site may show this agent, and what its visitors ask is at your cost.</p></Notice>}
        {!isIn && <div><Button icon="plus" onClick={() => form.set('allowed_origins', [...origins, location.origin].join('\n'))}>Add this console, to chat in the preview</Button></div>}
      </div>
    </Card>
  );
}

const isLocal = (server) => /^https?:\/\/(localhost|127\.|\[::1\])/.test(server);

function Snippets({ agent }) {
  const [server, setServer] = useState(location.origin);
  const address = server.trim().replace(/\/+$/, '');
  const html = htmlOf(address, agent.id);
  const php = wordpressOf(address, agent.id);
  return (
    <Card title="Put it on your site">
      <div class="fields">
        <Field label="Address of this server, as visitors reach it" type="url" spellcheck={false} value={server} onInput={setServer} />
        {isLocal(address) && <Notice kind="warn"><p>This address works on this computer only. Enter the one that visitors reach, such as https://chat.example.com.</p></Notice>}
        <h3>Any page</h3>
        <p class="hint">Paste this before <code>&lt;/body&gt;</code>.</p>
        <Code>{html}</Code>
        <div><CopyButton text={html} label="Copy the HTML" /></div>
        <h3>WordPress</h3>
        <p class="hint">With the plugin Aerie Chat there is nothing to paste: it asks for this server’s address. Without it, paste this at the end of your theme’s functions.php, or the HTML above into a Custom HTML block.</p>
        <Code>{php}</Code>
        <div><CopyButton text={php} label="Copy for WordPress" /></div>
      </div>
    </Card>
  );
}

function Editor({ agent, onSaved }) {
  const form = useForm(widgetValues(agent));
  const send = (event) => {
    event.preventDefault();
    form.submit(async (values) => {
      let saved;
      try {
        saved = await put(`/api/agents/${agent.id}`, { config: { ...agent.config, widget: widgetOf(values) }, allowed_origins: linesOf(values.allowed_origins) });
      } catch (error) {
        throw renamed(error);
      }
      form.reset(widgetValues(saved));
      toast('Saved. Pages that show the widget follow within a minute.');
      onSaved(saved);
    });
  };
  return (
    <div class="beside">
      <div class="fields">
        <form onSubmit={send}>
          <Looks form={form} agent={agent} />
          <Origins form={form} />
          <SaveBar form={form} />
        </form>
        <Snippets agent={agent} />
      </div>
      <aside class="beside-panel" aria-label="Preview">
        <WidgetPreview agent={agent} values={form.values} />
      </aside>
    </div>
  );
}

export function Widget({ id }) {
  const loaded = useLoad(() => get(`/api/agents/${id}`), [id]);
  return (
    <Loaded from={loaded} what="the agent">
      {(agent) => <AgentPage agent={agent} tab="/widget"><Editor agent={agent} onSaved={loaded.setData} /></AgentPage>}
    </Loaded>
  );
}
