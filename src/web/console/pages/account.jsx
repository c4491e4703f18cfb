// Your own account: name and password.
import { put } from '../api.js';
import { useForm } from '../hooks.js';
import { Button } from '../parts/button.jsx';
import { Field, FormProblem } from '../parts/field.jsx';
import { Card, Page } from '../parts/page.jsx';
import { toast } from '../parts/toast.jsx';
import { session, update } from '../session.js';
import { useStore } from '../store.js';

const EMPTY = { current_password: '', password: '', again: '' };

function Name() {
  const { user } = useStore(session);
  const form = useForm({ full_name: user.full_name ?? '' });
  const send = (event) => {
    event.preventDefault();
    form.submit(async ({ full_name }) => {
      update({ user: await put('/api/auth/me', { full_name: full_name.trim() }) });
      form.reset({ full_name: full_name.trim() });
      toast('Your name is saved.');
    });
  };
  return (
    <Card title="Who you are">
      <form onSubmit={send}>
        <p>{user.email}, admin</p>
        <Field label="Name" autocomplete="name" maxLength={200} {...form.bind('full_name')} />
        <FormProblem form={form} />
        <Button kind="main" type="submit" isBusy={form.isBusy} disabled={!form.isDirty}>Save name</Button>
      </form>
    </Card>
  );
}

function Password() {
  const { user } = useStore(session);
  const form = useForm(EMPTY);
  const send = (event) => {
    event.preventDefault();
    if (form.values.password !== form.values.again) {
      form.setErrors({ again: 'Is not the same as the new password' });
      return;
    }
    form.submit(async ({ current_password, password }) => {
      await put('/api/auth/me', { current_password, password });
      form.reset(EMPTY);
      toast('Your password is changed. Your other sessions have ended.');
    });
  };
  return (
    <Card title="Password" lead="A new password ends your other sessions.">
      <form onSubmit={send}>
        <input type="text" hidden autocomplete="username" value={user.email} readOnly />
        <Field label="Present password" type="password" autocomplete="current-password" required {...form.bind('current_password')} />
        <Field label="New password" type="password" autocomplete="new-password" required minLength={8} maxLength={128} hint="8 to 128 characters." {...form.bind('password')} />
        <Field label="New password again" type="password" autocomplete="new-password" required {...form.bind('again')} />
        <FormProblem form={form} />
        <Button kind="main" type="submit" isBusy={form.isBusy}>Change password</Button>
      </form>
    </Card>
  );
}

export function Account() {
  return (
    <Page title="Your account">
      <Name />
      <Password />
    </Page>
  );
}
