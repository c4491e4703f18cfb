// Signing in, for admins of a team.
import { useEffect, useRef, useState } from 'preact/hooks';
import { Button } from '../parts/button.jsx';
import { Field, FormProblem } from '../parts/field.jsx';
import { useForm } from '../hooks.js';
import { session, signIn } from '../session.js';
import { useStore } from '../store.js';

export function SignIn() {
  const { note } = useStore(session);
  const form = useForm({ email: '', password: '', team_id: '' }, { isGuarded: false });
  const [asksTeam, setAsksTeam] = useState(false);
  const box = useRef(null);
  useEffect(() => {
    document.title = 'Sign in · Aerie console';
    box.current.querySelector('input').focus();
  }, []);
  const send = (event) => {
    event.preventDefault();
    form.submit(async ({ email, password, team_id }) => {
      try {
        await signIn(email.trim(), password, team_id.trim());
      } catch (error) {
        form.set('password', '');
        if (error.status === 409) setAsksTeam(true);
        throw error;
      }
    });
  };
  return (
    <main class="door">
      <section class="panel" ref={box}>
        <img src="/assets/icon.svg" alt="" width="44" height="44" />
        <h1>Aerie console</h1>
        <p class="faint">For admins of a team: agents, keys, users, chats.</p>
        {note && <p class="notice info" role="status">{note}</p>}
        <form onSubmit={send}>
          <Field label="E-mail" type="email" autocomplete="username" required {...form.bind('email')} />
          <Field label="Password" type="password" autocomplete="current-password" required {...form.bind('password')} />
          {asksTeam && <Field label="Team id" required hint="Your e-mail is known to more than one team. aerie team list shows their ids." {...form.bind('team_id')} />}
          <FormProblem form={form} />
          <Button kind="main" type="submit" isBusy={form.isBusy}>Sign in</Button>
        </form>
        <details>
          <summary>No account yet?</summary>
          <p>The operator of this server makes the first admin at its command line:</p>
          <pre class="code" tabIndex={0}><code>aerie user create --email you@example.com --team default --role admin</code></pre>
        </details>
        <details>
          <summary>Forgotten your password?</summary>
          <p>The operator sets a new one, which ends all your sessions:</p>
          <pre class="code" tabIndex={0}><code>aerie user password --email you@example.com --team default</code></pre>
        </details>
      </section>
    </main>
  );
}
