// What a widget shows, as its form holds it: an empty field is the widget's own choice, and is not stored.
import { linesOf } from '../lines.js';

const NAMES = ['title', 'greeting', 'placeholder', 'color', 'theme', 'position', 'language'];

export function widgetValues(agent) {
  const widget = agent.config.widget ?? {};
  return {
    ...Object.fromEntries(NAMES.map((name) => [name, widget[name] ?? ''])),
    suggestions: (widget.suggestions ?? []).join('\n'),
    allowed_origins: agent.allowed_origins.join('\n'),
  };
}

export function widgetOf(values) {
  const widget = Object.fromEntries(NAMES.filter((name) => values[name].trim() !== '').map((name) => [name, values[name].trim()]));
  const suggestions = linesOf(values.suggestions);
  return suggestions.length > 0 ? { ...widget, suggestions } : widget;
}

/** The line that puts the widget on a page. */
export const htmlOf = (server, id) => `<script src="${server}/widget.js" data-chatbot-id="${id}" async></script>`;

export const wordpressOf = (server, id) => `add_action( 'wp_footer', function () {
\techo '${htmlOf(server, id)}';
} );`;
