// An agent as its form holds it, and back: only what was changed is sent.
import { linesOf } from '../lines.js';

export const STORED = '********'; // the server's word for a secret that it keeps and never shows

export const EMPTY = {
  name: '', description: '', provider: 'n8n', webhook_url: '', webhook_token: '', model: '', system_prompt: '', allowed_origins: '', config: '', is_active: true,
};

/** config without what the widget's page edits, as text to edit. */
function configText({ widget: _, ...others }) {
  return Object.keys(others).length > 0 ? JSON.stringify(others, null, 2) : '';
}

export function valuesOf(agent) {
  return {
    name: agent.name,
    description: agent.description ?? '',
    provider: agent.provider,
    webhook_url: agent.webhook_url ?? '',
    webhook_token: agent.webhook_token ?? '',
    model: agent.model ?? '',
    system_prompt: agent.system_prompt ?? '',
    allowed_origins: agent.allowed_origins.join('\n'),
    config: configText(agent.config),
    is_active: agent.is_active,
  };
}

const orNull = (text) => (text.trim() === '' ? null : text.trim());

/** The body of a POST or PUT. Throws a SyntaxError when config is no JSON. agent: what the server has, null for a new one. */
export function bodyOf(values, agent = null) {
  const whole = {
    name: values.name.trim(),
    description: orNull(values.description),
    provider: values.provider,
    webhook_url: orNull(values.webhook_url),
    webhook_token: orNull(values.webhook_token),
    model: orNull(values.model),
    system_prompt: values.system_prompt.trim() === '' ? null : values.system_prompt,
    allowed_origins: linesOf(values.allowed_origins),
    config: readConfig(values.config, agent),
    is_active: values.is_active,
  };
  if (agent === null) return Object.fromEntries(Object.entries(whole).filter(([, value]) => value !== null));
  const before = valuesOf(agent);
  return Object.fromEntries(Object.entries(whole).filter(([name]) => values[name] !== before[name]));
}

function readConfig(text, agent) {
  const config = text.trim() === '' ? {} : JSON.parse(text);
  if (config === null || typeof config !== 'object' || Array.isArray(config)) throw new SyntaxError('no object');
  return agent?.config.widget ? { ...config, widget: agent.config.widget } : config;
}
