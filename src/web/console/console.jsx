// The admin console at /console: who is not signed in signs in, and everyone else gets the page that the address names.
import { render } from 'preact';
import './console.css';
import './pages/agents.css';
import { Layout } from './layout.jsx';
import { LeaveDialog } from './parts/leave.jsx';
import { Loading } from './parts/state.jsx';
import { Toasts } from './parts/toast.jsx';
import { SignIn } from './pages/sign_in.jsx';
import { restore, session } from './session.js';
import { useStore } from './store.js';

function Console() {
  const { state } = useStore(session);
  if (state === 'starting') return <Loading what="the console" />;
  return (
    <>
      {state === 'in' ? <Layout /> : <SignIn />}
      <LeaveDialog />
      <Toasts />
    </>
  );
}

render(<Console />, document.getElementById('console'));
restore();
