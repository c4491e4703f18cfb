// Reads one reply to its end, however often the line breaks: each time it goes on after the last event that came.
import { readEvents } from '../home/client.js';
import { Problem } from './api.js';

const MAX_ATTEMPTS = 10;
const MAX_PAUSE_MS = 10_000;
/** The server says something each 15 s (turn.heartbeat_seconds); who hears nothing for so long has a dead line. */
const SILENCE_MS = 50_000;

/** Waits longer each time; for as long as the browser is offline; and not at all once it is online again. */
function pause(attempt, signal) {
  return new Promise((resolve) => {
    const stop = new AbortController();
    const end = () => {
      stop.abort();
      clearTimeout(timer);
      resolve();
    };
    const ms = Math.min(400 * 2 ** attempt, MAX_PAUSE_MS) * (0.75 + Math.random() / 2);
    const timer = navigator.onLine ? setTimeout(end, ms) : 0;
    addEventListener('online', end, { signal: stop.signal });
    signal.addEventListener('abort', end, { signal: stop.signal });
  });
}

/** A signal that cuts the line when the browser goes offline, when it falls silent, or when nobody wants it any more. */
function lineOf(signal) {
  const line = new AbortController();
  const cut = () => line.abort();
  let timer;
  signal.addEventListener('abort', cut, { signal: line.signal });
  addEventListener('offline', cut, { signal: line.signal });
  return {
    signal: line.signal,
    heard() {
      clearTimeout(timer);
      timer = setTimeout(cut, SILENCE_MS);
    },
    close() {
      clearTimeout(timer);
      line.abort();
    },
  };
}

const heardBy = (line) => new TransformStream({ transform: (bytes, out) => { line.heard(); out.enqueue(bytes); } });

/** Another turn, or one that is told from its start again because our place in it is not known there. */
function isNewStart(before, id) {
  const [turn, n] = before.split(':');
  const [newTurn, newN] = id.split(':');
  return Boolean(before) && (turn !== newTurn || Number(newN) <= Number(n));
}

/**
 * begin(options) sends the message, attach(lastId, options) takes up the reply; both give a Response. begin may be null.
 * place: {id, text, round}, changed as events come; another round: the text began anew. onEvent(event) after each, onLost(isLost) when the line breaks and when it is back.
 * Resolves with the terminal event, or with null when nothing runs (any more): then the history has what there is.
 * Throws a Problem when the server refuses, or cannot be reached for long; AbortError's when the signal is aborted.
 */
export async function followReply({ begin, attach, place, onEvent, onLost, signal }) {
  let isBegun = !begin;
  for (let attempt = 0; ; attempt++) {
    if (attempt > 0) {
      onLost(true);
      await pause(attempt, signal);
    }
    signal.throwIfAborted();
    const before = place.id;
    const line = lineOf(signal);
    try {
      line.heard();
      const response = await (isBegun ? attach(place.id, { signal: line.signal }) : begin({ signal: line.signal }));
      isBegun = true;
      if (attempt > 0) onLost(false);
      if (response.status === 204) return null;
      for await (const { id, data } of readEvents({ body: response.body.pipeThrough(heardBy(line)) })) {
        if (isNewStart(place.id, id)) Object.assign(place, { text: '', round: (place.round ?? 0) + 1 });
        place.id = id;
        if (data.type === 'message') place.text += data.data.content;
        onEvent(data);
        if (data.type === 'done' || data.type === 'error') return data;
      }
    } catch (error) {
      signal.throwIfAborted();
      const isBroken = !(error instanceof Problem) || error.kind === 'unreachable' || (isBegun && error.status >= 500);
      if (!isBroken) throw error;
    } finally {
      line.close();
    }
    if (place.id !== before) attempt = 0;
    if (attempt >= MAX_ATTEMPTS) throw new Problem('unreachable');
  }
}
