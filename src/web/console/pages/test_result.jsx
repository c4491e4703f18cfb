// What came of a test message: the reply and its times, or why there is none and what to do.
import { Badge } from '../parts/page.jsx';
import { Notice } from '../parts/state.jsx';

const ms = (value) => (value === null ? '–' : value < 1000 ? `${value} ms` : `${(value / 1000).toFixed(1)} s`);

function Facts({ result }) {
  const rows = [
    ['First words after', ms(result.first_token_ms)],
    ['In all', ms(result.total_ms)],
    ['Pieces', `${result.chunks}${result.streamed ? ', streamed' : ''}`],
    ['HTTP status', result.http_status ?? 'no answer'],
  ];
  return <dl class="facts-row">{rows.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>;
}

export function TestResult({ result }) {
  const { ok, reply, error, streamed } = result;
  return (
    <div class="result">
      {ok ? (
        <Notice kind={streamed ? 'good' : 'info'}>
          <p><strong>{streamed ? 'It answers, and it streams.' : 'It answers, in one piece.'}</strong></p>
          {!streamed && <p>Visitors see nothing until the whole reply is there. To stream, set the start node to respond with Streaming, and Enable Streaming in the AI Agent node. A very short reply comes in one piece anyway.</p>}
        </Notice>
      ) : (
        <Notice kind="bad">
          <p><strong>{error.message}</strong> <Badge kind="bad">{error.code}</Badge></p>
          <p>{error.hint}</p>
        </Notice>
      )}
      {reply && <blockquote class="reply"><p class="hint">{ok ? 'The reply' : 'What came before it failed'}</p><p class="said-text">{reply}</p></blockquote>}
      <Facts result={result} />
    </div>
  );
}
