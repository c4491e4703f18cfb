// A value that components follow.
import { useEffect, useState } from 'preact/hooks';

export function makeStore(value) {
  const readers = new Set();
  return {
    get: () => value,
    set(next) {
      value = next;
      for (const read of [...readers]) read(next);
    },
    subscribe(read) {
      readers.add(read);
      return () => readers.delete(read);
    },
  };
}

export function useStore(store) {
  const [, setSeen] = useState(store.get());
  useEffect(() => {
    setSeen(store.get());
    return store.subscribe((value) => setSeen(() => value));
  }, [store]);
  return store.get();
}
