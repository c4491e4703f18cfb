// Buttons. kind: plain | main | quiet | danger. isBusy: its work runs, and it cannot be pressed again.
import { useEffect, useState } from 'preact/hooks';
import { Dialog } from './dialog.jsx';
import { Icon } from './icon.jsx';

export function Button({ kind = 'plain', type = 'button', icon, isBusy = false, disabled = false, children, ...rest }) {
  return (
    <button {...rest} type={type} class={kind} disabled={disabled || isBusy} aria-busy={isBusy || undefined}>
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}

/** Asks first. question: the dialog's title; children: the label; consequence: what will be gone; onConfirm may be async. */
export function ConfirmButton({ question, consequence, confirmLabel, onConfirm, kind = 'danger', icon, children, ...rest }) {
  const [isAsking, setAsking] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const confirm = async () => {
    setBusy(true);
    try {
      await onConfirm();
    } finally {
      setBusy(false);
      setAsking(false);
    }
  };
  return (
    <>
      <Button {...rest} kind={kind} icon={icon} onClick={() => setAsking(true)}>{children}</Button>
      {isAsking && (
        <Dialog title={question} onClose={() => setAsking(false)} actions={<>
          <Button onClick={() => setAsking(false)}>Cancel</Button>
          <Button kind="danger main" isBusy={isBusy} onClick={confirm}>{confirmLabel ?? children}</Button>
        </>}>
          <p>{consequence}</p>
        </Dialog>
      )}
    </>
  );
}

/** Copies text, and says so. */
export function CopyButton({ text, label = 'Copy', kind = 'plain' }) {
  const [said, setSaid] = useState('');
  useEffect(() => {
    if (!said) return undefined;
    const timer = setTimeout(() => setSaid(''), 2500);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async () => {
    setSaid((await copied(text)) ? 'Copied' : 'Not copied: mark the text and press Ctrl+C');
  };
  return (
    <>
      <Button kind={kind} icon={said === 'Copied' ? 'check' : 'copy'} onClick={copy}>{said || label}</Button>
      <span class="unseen" role="status">{said}</span>
    </>
  );
}

/** The clipboard is closed to pages that came without TLS; there the old way has to do. */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const box = document.createElement('textarea');
    box.value = text;
    box.className = 'unseen';
    (document.querySelector('dialog[open]') ?? document.body).append(box);
    box.select();
    const done = document.execCommand('copy');
    box.remove();
    return done;
  }
}
