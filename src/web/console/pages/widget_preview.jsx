// The real widget, as the form says it would look. It stands in a box that is a page to it: what is fixed to a page's corner is
// fixed to the box's.
import { useEffect, useRef, useState } from 'preact/hooks';
import { linesOf } from '../lines.js';

const ATTRIBUTES = ['title', 'greeting', 'placeholder', 'color', 'theme', 'position', 'language'];

/** Browsers keep the answer for a minute: what was just saved is to be seen at once. */
const refresh = (id) => fetch(`/api/chat/widget/config?chatbot_id=${id}`, { cache: 'reload', credentials: 'omit' }).catch(() => {});

async function make(agent) {
  const url = '/widget.mjs'; // the server's own, as other sites get it
  const [module] = await Promise.all([import(/* @vite-ignore */ url), refresh(agent.id)]);
  module.define?.();
  const widget = document.createElement('aerie-chat');
  widget.setAttribute('chatbot-id', agent.id);
  widget.setAttribute('server', location.origin);
  widget.setAttribute('open', '');
  return widget;
}

function dress(widget, values, agent) {
  for (const name of ATTRIBUTES) widget.setAttribute(`data-${name}`, values[name].trim() || (name === 'title' ? agent.name : ''));
  widget.setAttribute('data-suggestions', JSON.stringify(linesOf(values.suggestions)));
}

export function WidgetPreview({ agent, values }) {
  const stage = useRef(null);
  const widget = useRef(null);
  const now = useRef(values);
  const [problem, setProblem] = useState('');
  now.current = values;

  useEffect(() => {
    let isGone = false;
    make(agent).then((made) => {
      if (isGone) return;
      dress(made, now.current, agent);
      widget.current = made;
      stage.current.append(made);
    }, () => setProblem('The widget could not be loaded from this server: it may be built without it.'));
    return () => {
      isGone = true;
      widget.current?.remove();
      widget.current = null;
    };
  }, [agent]);
  useEffect(() => {
    if (widget.current) dress(widget.current, values, agent);
  }, [values]);

  return (
    <div class="stage" ref={stage} role="region" aria-label="Preview of the widget">
      <div class="stage-page" aria-hidden="true"><span /><span /><span /><span /><span /></div>
      {problem && <p class="problem" role="alert">{problem}</p>}
    </div>
  );
}
