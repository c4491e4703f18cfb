// A modal dialog, and one with a form: the browser keeps the focus inside, Escape closes it, and the focus goes back to where it was.
import { useEffect, useId, useRef } from 'preact/hooks';
import { Button } from './button.jsx';
import { FormProblem } from './field.jsx';

export function Dialog({ title, onClose, actions, children }) {
  const element = useRef(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement;
    element.current.showModal();
    return () => before?.isConnected && before.focus();
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    onClose();
  };
  return (
    <dialog ref={element} aria-labelledby={id} onCancel={cancel}>
      <h2 id={id}>{title}</h2>
      {children}
      {actions && <div class="actions">{actions}</div>}
    </dialog>
  );
}

/** The fields are the children; action is what the button that sends them says, kind how it looks. */
export function FormDialog({ title, form, action, kind = 'main', onSend, onClose, children }) {
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={onSend} autocomplete="off">
        {children}
        <FormProblem form={form} />
        <div class="actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind={kind} type="submit" isBusy={form.isBusy}>{action}</Button>
        </div>
      </form>
    </Dialog>
  );
}
