// Do replies come to this browser while they are written, or does something between collect them?
import { useState } from 'preact/hooks';
import { explain, open, readEvents } from '../api.js';
import { Button } from '../parts/button.jsx';
import { Notice } from '../parts/state.jsx';

/** The server takes 800 ms for its five events. What comes in less than half of that was held back. */
const LEAST_MS = 400;

async function streams() {
  const times = [];
  for await (const event of readEvents(await open('GET', '/health/stream'))) if (event.data) times.push(performance.now());
  return times.length > 1 && times.at(-1) - times[0] >= LEAST_MS;
}

export function StreamCheck() {
  const [state, setState] = useState({ isBusy: false, kind: '', said: '' });
  const check = async () => {
    setState({ isBusy: true, kind: '', said: '' });
    try {
      const doesStream = await streams();
      setState({ isBusy: false, kind: doesStream ? 'good' : 'warn', said: doesStream
        ? 'Replies come to this browser while they are written.'
        : `Something between this browser and the server collects replies: likely a proxy that buffers. In nginx, set proxy_buffering off. aerie doctor --url ${location.origin} says more.` });
    } catch (error) {
      setState({ isBusy: false, kind: 'bad', said: explain(error) });
    }
  };
  return (
    <div class="fields">
      <div><Button isBusy={state.isBusy} onClick={check}>Check that replies stream to here</Button></div>
      <div role="status">{state.said && <Notice kind={state.kind}><p>{state.said}</p></Notice>}</div>
    </div>
  );
}
