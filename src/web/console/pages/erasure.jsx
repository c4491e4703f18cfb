// A person is erased: asked for in words that are typed, and told by a report of what went and what stays.
import { useState } from 'preact/hooks';
import { ApiError, post } from '../api.js';
import { useForm } from '../hooks.js';
import { countText } from '../money.js';
import { Button, CopyButton } from '../parts/button.jsx';
import { Dialog, FormDialog } from '../parts/dialog.jsx';
import { Field } from '../parts/field.jsx';
import { Card } from '../parts/page.jsx';
import './erasure.css';

const WENT = [
  ['accounts', 'account', 'accounts'], ['chats', 'chat', 'chats'], ['messages', 'message', 'messages'], ['logins', 'login', 'logins'], ['mails', 'mail that waited', 'mails that waited'],
  ['budgets', 'budget', 'budgets'], ['deliveries', 'delivery of a webhook', 'deliveries of webhooks'], ['audit_rows', 'row of the audit trail names nobody now', 'rows of the audit trail name nobody now'],
];
const KEPT = {
  audit: 'The audit trail', backups: 'Backups', copies: 'What others were sent', journals: 'Text of replies that ran', logs: 'Log files', team: 'What is the team’s', usage: 'Numbers of use',
};

function Report({ report, onClose }) {
  const went = WENT.filter(([name]) => report.erased[name] > 0);
  return (
    <Dialog title="Erased: the report" onClose={onClose} actions={<>
      <CopyButton text={JSON.stringify(report, null, 2)} label="Copy the report" />
      <Button kind="main" onClick={onClose}>Done</Button>
    </>}>
      <h3>What went</h3>
      <ul class="report">{went.map(([name, one, many]) => <li key={name}><strong>{countText(report.erased[name])}</strong> {report.erased[name] === 1 ? one : many}</li>)}</ul>
      <h3>What stays, and why</h3>
      <ul class="report">{report.kept.map(({ what, why }) => <li key={what}><strong>{KEPT[what] ?? what}:</strong> {why}.</li>)}</ul>
    </Dialog>
  );
}

/** send(values) asks for it, and gives the report; onDone is called when that was read. */
function Erase({ label, title, action, initial, send, onDone, fields }) {
  const [isAsking, setAsking] = useState(false);
  const [report, setReport] = useState(null);
  const form = useForm(initial, { isGuarded: false });
  const submit = async (event) => {
    event.preventDefault();
    const answer = await form.submit(send);
    if (!answer) return;
    setAsking(false);
    setReport(answer);
  };
  const open = () => {
    form.reset(initial);
    setAsking(true);
  };
  const done = () => {
    setReport(null);
    onDone?.();
  };
  return (
    <>
      <Button kind="danger" icon="trash" onClick={open}>{label}</Button>
      {isAsking && <FormDialog title={title} form={form} action={action} kind="danger main" onSend={submit} onClose={() => setAsking(false)}>{fields(form)}</FormDialog>}
      {report && <Report report={report} onClose={done} />}
    </>
  );
}

/** onDone: the user is gone. */
export function EraseUser({ user: { id, email }, onDone }) {
  const send = ({ typed }) => {
    if (typed.trim().toLowerCase() !== email.toLowerCase()) throw new ApiError(422, 'Nothing was erased', { typed: `must be ${email}` });
    return post(`/api/users/${id}/erase`);
  };
  return (
    <Card title="Erase this person" lead="For somebody who asks to be forgotten. As with a deletion, all that is theirs goes; besides, the audit trail forgets who it was, and you get a report. Running replies end.">
      <Erase label="Erase this person" title={`Erase ${email}?`} action="Erase for good" initial={{ typed: '' }} send={send} onDone={onDone} fields={(form) => (
        <>
          <p>The account, its chats and messages, logins and budgets are deleted, and the audit trail names the person no more. This cannot be undone.</p>
          <Field label="Type the e-mail address to go on" autocomplete="off" spellcheck={false} required placeholder={email} {...form.bind('typed')} />
        </>
      )} />
    </Card>
  );
}

export function EraseVisitor() {
  return (
    <Card title="Visitors" lead="Visitors of a widget, and those for whom a program speaks with an API key, have no account. Who asks to be forgotten is known by the id of the session alone, which the widget keeps in the browser’s storage.">
      <Erase label="Erase a visitor" title="Erase a visitor?" action="Erase for good" initial={{ visitor: '' }} send={({ visitor }) => post('/api/visitors/erase', { visitor: visitor.trim() })} fields={(form) => (
        <>
          <p>The session and all that was said in it are deleted. This cannot be undone.</p>
          <Field label="Id of the session" autocomplete="off" spellcheck={false} required placeholder="01a1fa9f-4a1c-7c41-9a6e-0f2d8f6f3b52" {...form.bind('visitor')} />
        </>
      )} />
    </Card>
  );
}
