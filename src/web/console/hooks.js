// What most pages do: load something, and send a form.
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { explain } from './api.js';
import { useGuard } from './router.js';

/** Loads when the deps change: {data, problem, isLoading, reload(), setData()}. Old data stay while new ones come. */
export function useLoad(load, deps) {
  const [state, setState] = useState({ data: null, problem: '', error: null, isLoading: true });
  const run = useRef(0);
  const reload = useCallback(async () => {
    const mine = ++run.current;
    setState((was) => ({ ...was, isLoading: true }));
    try {
      const data = await load();
      if (mine === run.current) setState({ data, problem: '', error: null, isLoading: false });
    } catch (error) {
      if (mine === run.current) setState((was) => ({ ...was, problem: explain(error), error, isLoading: false }));
    }
  }, deps);
  useEffect(() => {
    reload();
    return () => run.current++;
  }, [reload]);
  const setData = useCallback((data) => setState((was) => ({ ...was, data })), []);
  return { ...state, reload, setData };
}

const alike = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/**
 * A form's values and what is wrong with them. bind(name) gives a Field its value, error and onInput. submit(send) runs
 * send(values), shows the fields' errors of a 422, and returns what send returned, or undefined when it failed.
 * isGuarded: unsaved values keep the page from being left without a word.
 */
export function useForm(initial, { isGuarded = true } = {}) {
  const [saved, setSaved] = useState(initial);
  const [values, setValues] = useState(initial);
  const [errors, setErrors] = useState({});
  const [problem, setProblem] = useState('');
  const [isBusy, setBusy] = useState(false);
  const isDirty = !alike(values, saved);
  useGuard(isGuarded && isDirty);

  const set = (name, value) => {
    setValues((was) => ({ ...was, [name]: value }));
    setErrors(({ [name]: _, ...others }) => others);
  };
  /** The values that the server has now. */
  const reset = (next) => {
    setSaved(next);
    setValues(next);
    setErrors({});
    setProblem('');
  };
  const undo = () => reset(saved);
  const submit = async (send) => {
    setBusy(true);
    setErrors({});
    setProblem('');
    try {
      return await send(values);
    } catch (error) {
      setErrors(error.fields ?? {});
      setProblem(explain(error));
      return undefined;
    } finally {
      setBusy(false);
    }
  };
  const bind = (name) => ({ name, value: values[name], error: errors[name], onInput: (value) => set(name, value) });
  return { values, set, reset, undo, errors, setErrors, problem, setProblem, isBusy, isDirty, submit, bind };
}
