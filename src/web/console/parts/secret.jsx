// A secret that the server shows once: to be copied now.
import { CopyButton } from './button.jsx';
import { Code } from './page.jsx';

/** afterwards: who can read it then. */
export function Secret({ what, value, afterwards = 'nobody can read it again, neither you nor the server' }) {
  return (
    <div class="secret">
      <p><strong>Copy {what} now.</strong> It is shown this once; afterwards {afterwards}.</p>
      <Code>{value}</Code>
      <CopyButton text={value} label={`Copy ${what}`} kind="main" />
    </div>
  );
}
