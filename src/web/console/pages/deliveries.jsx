// What a webhook was told, is yet to be told, or was told in vain; and the last of these once more.
import { useEffect } from 'preact/hooks';
import { list, post } from '../api.js';
import { useLoad } from '../hooks.js';
import { countText } from '../money.js';
import { Button, ConfirmButton } from '../parts/button.jsx';
import { Field } from '../parts/field.jsx';
import { Badge, Code } from '../parts/page.jsx';
import { Pager } from '../parts/pager.jsx';
import { Loaded } from '../parts/state.jsx';
import { Table } from '../parts/table.jsx';
import { Time } from '../parts/time.jsx';
import { toast, toastError } from '../parts/toast.jsx';
import { setQuery, usePlace } from '../router.js';
import './deliveries.css';

const LIMIT = 25;
const POLL_MS = 3000;
const SOON_MS = 60000;
const STATES = { pending: ['info', 'waiting'], delivered: ['good', 'delivered'], dead: ['bad', 'dead'] };
const SHOWN = [['', 'All'], ['pending', 'Waiting'], ['delivered', 'Delivered'], ['dead', 'Dead: given up']];

const isDueSoon = ({ status, next_at: at }) => status === 'pending' && new Date(at) - Date.now() < SOON_MS;

function State({ delivery: { status, tries, next_at: next, delivered_at: at } }) {
  const [kind, words] = STATES[status];
  return (
    <span class="two-lines">
      <span><Badge kind={kind}>{words}</Badge></span>
      {status === 'pending' && tries > 0 && <span class="faint small">again <Time at={next} /></span>}
      {status === 'delivered' && <span class="faint small"><Time at={at} /></span>}
    </span>
  );
}

function LastAnswer({ delivery: { last_status: status, last_error: error, tries } }) {
  if (status === null && !error) return <span class="faint">{tries === 0 ? 'not tried yet' : '–'}</span>;
  return (
    <span class="two-lines">
      <span>{status ?? 'no answer'}</span>
      {error && <span class="small problem">{error}</span>}
      {tries > 1 && <span class="faint small">after {countText(tries)} tries</span>}
    </span>
  );
}

function What({ delivery: { id, type, data, created_at: at } }) {
  return (
    <span class="two-lines">
      <details class="delivery">
        <summary>{type}</summary>
        <Code>{`X-Aerie-Delivery: ${id}\n\n${JSON.stringify(data, null, 2)}`}</Code>
      </details>
      <span class="faint small"><Time at={at} /></span>
    </span>
  );
}

export function Deliveries({ webhook, onReplayed }) {
  const { query } = usePlace();
  const [status, offset] = [query.get('status') ?? '', Number(query.get('offset')) || 0];
  const path = `/api/webhooks/${webhook.id}/deliveries`;
  const deliveries = useLoad(() => list(path, { limit: LIMIT, offset, status }), [webhook.id, offset, status]);
  const look = () => {
    deliveries.reload();
    onReplayed();
  };
  useEffect(() => {
    if (!deliveries.data?.items.some(isDueSoon)) return undefined;
    const timer = setTimeout(look, POLL_MS);
    return () => clearTimeout(timer);
  }, [deliveries.data]);

  const act = async (work) => {
    try {
      toast(await work());
    } catch (error) {
      toastError(error);
    }
    look();
  };
  const again = ({ id }) => act(async () => {
    await post(`${path}/${id}/replay`);
    return 'It is sent again now.';
  });
  const allAgain = () => act(async () => {
    const { replayed, left } = await post(`${path}/replay`);
    return left > 0 ? `${countText(replayed)} are sent again now; ${countText(left)} are left for another time.` : `${countText(replayed)} ${replayed === 1 ? 'is' : 'are'} sent again now.`;
  });
  const columns = [
    { title: 'Event', cell: (delivery) => <What delivery={delivery} /> },
    { title: 'State', cell: (delivery) => <State delivery={delivery} /> },
    { title: 'Last answer', cell: (delivery) => <LastAnswer delivery={delivery} /> },
    {
      title: 'Actions', isHidden: true,
      cell: (delivery) => <div class="actions">{delivery.status === 'dead' && webhook.is_active && <Button icon="again" aria-label={`Send again: ${delivery.type}`} onClick={() => again(delivery)}>Send again</Button>}</div>,
    },
  ];
  return (
    <section class="deliveries" aria-labelledby="deliveries">
      <div class="panel-head">
        <h2 id="deliveries">Deliveries</h2>
        <div class="actions">
          {webhook.dead > 0 && webhook.is_active && <ConfirmButton kind="plain" icon="again" question={`Send all ${countText(webhook.dead)} dead ones again?`} consequence="They are due at once, the oldest first, a thousand at a time." confirmLabel="Send again" onConfirm={allAgain}>Send all dead ones again</ConfirmButton>}
          <Button kind="quiet" icon="again" onClick={look}>Look again</Button>
        </div>
      </div>
      <p class="faint">Newest first. What was delivered is kept for some days, what is dead for longer.{webhook.dead > 0 && !webhook.is_active && ' Switch the webhook on to send dead ones again.'}</p>
      <div class="filters"><Field label="State" as="select" value={status} options={SHOWN} onInput={(next) => setQuery({ status: next, offset: '' }, { replace: false })} /></div>
      <Loaded from={deliveries} what="the deliveries">
        {({ items, total }) => (items.length === 0 ? <p class="faint">{status ? 'None is in this state.' : 'None yet: they come with the first event.'}</p> : (
          <>
            <Table caption="Deliveries" columns={columns} rows={items} />
            <Pager offset={offset} limit={LIMIT} total={total} what="deliveries" onMove={(next) => setQuery({ offset: next || '' }, { replace: false })} />
          </>
        ))}
      </Loaded>
    </section>
  );
}
