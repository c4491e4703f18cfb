// The head of a page, and the boxes in it.
import { Icon } from './icon.jsx';

/** back: {href, label} of the page above. actions: buttons beside the title. */
export function Page({ title, lead, back, actions, children }) {
  return (
    <div class="page">
      {back && <a class="page-back" href={back.href}><Icon name="back" />{back.label}</a>}
      <div class="page-head">
        <div>
          <h1>{title}</h1>
          {lead && <p class="lead">{lead}</p>}
        </div>
        {actions && <div class="actions">{actions}</div>}
      </div>
      {children}
    </div>
  );
}

export function Card({ title, lead, actions, children, class: name = '' }) {
  return (
    <section class={`panel ${name}`}>
      {title && <div class="panel-head"><h2>{title}</h2>{actions}</div>}
      {lead && <p class="faint">{lead}</p>}
      {children}
    </section>
  );
}

/** kind: good | warn | bad | faint | info. */
export function Badge({ kind = 'faint', children }) {
  return <span class={`badge ${kind}`}>{children}</span>;
}

/** A text to copy: code, or a secret that is shown once. */
export function Code({ children }) {
  return <pre class="code" tabIndex={0}><code>{children}</code></pre>;
}
