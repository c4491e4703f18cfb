// A secret that the server shows once: to be copied now.
import { CopyButton } from './button.jsx';
import { Code } from './page.jsx';

export function Secret({ what, value }) {
  return (
    <div class="secret">
      <p><strong>Copy {what} now.</strong> It is shown this once; afterwards nobody can read it again, neither you nor the server.</p>
      <Code>{value}</Code>
      <CopyButton text={value} label={`Copy ${what}`} kind="main" />
    </div>
  );
}
