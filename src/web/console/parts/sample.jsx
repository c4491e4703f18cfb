// A piece of code that somebody copies into their own program.
import { CopyButton } from './button.jsx';
import { Code } from './page.jsx';

export function Sample({ title, children: text }) {
  return (
    <section class="sample">
      <div class="panel-head"><h3>{title}</h3><CopyButton text={text} label={`Copy ${title}`} kind="quiet" /></div>
      <Code>{text}</Code>
    </section>
  );
}
