// Asked when a page with unsaved changes is about to be left.
import { answerLeaving, leaving } from '../router.js';
import { useStore } from '../store.js';
import { Button } from './button.jsx';
import { Dialog } from './dialog.jsx';

export function LeaveDialog() {
  if (useStore(leaving) === null) return null;
  return (
    <Dialog title="Leave without saving?" onClose={() => answerLeaving(false)} actions={<>
      <Button onClick={() => answerLeaving(false)}>Stay here</Button>
      <Button kind="danger main" onClick={() => answerLeaving(true)}>Leave</Button>
    </>}>
      <p>What you have changed on this page is not saved yet, and would be lost.</p>
    </Dialog>
  );
}
