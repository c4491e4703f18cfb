// Steps through a long list: <Pager offset={0} limit={50} total={120} onMove={(offset) => …} what="users" />.
import { Button } from './button.jsx';

export function Pager({ offset, limit, total, onMove, what }) {
  if (total <= limit && offset === 0) return null;
  return (
    <nav class="pager" aria-label={`Pages of ${what}`}>
      <Button icon="back" disabled={offset === 0} onClick={() => onMove(Math.max(0, offset - limit))}>Back</Button>
      <span role="status">{total === 0 ? 0 : offset + 1}–{Math.min(offset + limit, total)} of {total}</span>
      <Button icon="next" disabled={offset + limit >= total} onClick={() => onMove(offset + limit)}>Next</Button>
    </nav>
  );
}
