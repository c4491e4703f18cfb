// What <script src="https://server/widget.js" data-chatbot-id="…" async> runs: a widget for that chatbot, and window.Aerie.
import { attributesOf } from './settings.js';
import { AerieChat, define, listen, mount } from './widget.js';

const script = document.currentScript ?? document.querySelector('script[data-chatbot-id][src*="/widget.js"]');
const settings = window.AerieSettings ?? {};
const server = script?.dataset.server ?? settings.server ?? (script?.src ? new URL('.', script.src).href : location.origin);
const chatbotId = script?.dataset.chatbotId ?? settings.chatbotId;

AerieChat.server = server.replace(/\/+$/, '');
const Element = define();
Element.server ??= AerieChat.server;

const CALLS = ['open', 'close', 'toggle', 'send', 'reset'];
/** Calls go to the page's first widget. push takes what was asked for before this script was there: ['open'], or a function. */
function makeApi() {
  const first = () => document.querySelector('aerie-chat');
  const api = { mount, push: (...asked) => asked.forEach(run) };
  function run(call) {
    if (typeof call === 'function') call(api);
    else if (call?.[0] === 'on' || CALLS.includes(call?.[0])) api[call[0]](...call.slice(1));
  }
  api.on = (name, listener) => listen(document, name, listener);
  for (const name of CALLS) api[name] = (...given) => first()?.[name](...given);
  return api;
}

function start() {
  const isThere = [...document.querySelectorAll('aerie-chat')].some((widget) => widget.chatbotId === chatbotId);
  if (chatbotId && !isThere) mount({ chatbotId, server: AerieChat.server, ...(script ? attributesOf(script) : {}) });
  if (window.Aerie?.mount) return;
  const asked = Array.isArray(window.Aerie) ? window.Aerie : [];
  window.Aerie = makeApi();
  window.Aerie.push(...asked);
}

if (document.body) start();
else addEventListener('DOMContentLoaded', start, { once: true });
