// A budget as the form has it, as the server takes it, and how it stands.
import { ApiError } from '../api.js';
import { moneyValue, readCount, readMoney } from '../money.js';

export const UNITS = ['money_micros', 'tokens', 'requests'];
export const SCOPES = [['team', 'The team'], ['agent', 'An agent'], ['key', 'An API key'], ['user', 'A user']];
export const PERIODS = [['month', 'A month'], ['day', 'A day']];

export const EMPTY = { scope: 'team', subject_id: '', period: 'month', money_micros: '', tokens: '', requests: '' };

export const valuesOf = ({ scope, subject_id, period, money_micros, tokens, requests }) => ({
  scope, subject_id, period, money_micros: moneyValue(money_micros), tokens: tokens === null ? '' : String(tokens), requests: requests === null ? '' : String(requests),
});

/** Throws what is wrong with the fields, as the server would. */
export function bodyOf({ scope, subject_id, period, money_micros, tokens, requests }) {
  const limits = { money_micros: readMoney(money_micros), tokens: readCount(tokens), requests: readCount(requests) };
  const fields = {};
  if (Number.isNaN(limits.money_micros)) fields.money_micros = 'must be an amount such as 20 or 12.50';
  for (const unit of ['tokens', 'requests']) if (Number.isNaN(limits[unit])) fields[unit] = 'must be a whole number such as 200,000';
  if (Object.keys(fields).length > 0) throw new ApiError(422, 'Not everything is right yet', fields);
  if (UNITS.every((unit) => limits[unit] === null)) throw new ApiError(422, 'Say how much may be used: money, tokens or requests');
  return { scope, ...(scope === 'team' ? {} : { subject_id }), period, ...limits };
}

/** What it limits: [{unit, limit, spent, part, held}], part and held of 1. */
export const partsOf = (budget) => UNITS.filter((unit) => budget[unit] !== null).map((unit) => {
  const limit = budget[unit];
  const [spent, reserved] = [budget.spent[unit], budget.reserved[unit]];
  return { unit, limit, spent, part: limit === 0 ? 1 : spent / limit, held: limit === 0 ? 0 : reserved / limit };
});

const STATES = { good: 'enough left', warn: 'nearly spent', bad: 'spent' };
export const stateOf = (part) => (part >= 1 ? 'bad' : part >= 0.8 ? 'warn' : 'good');

/** {kind, words} of the whole. What was cut is spent, though some crumbs are left, until its limits change. */
export function standing(budget) {
  const wasCut = budget.spent_at !== null && new Date(budget.spent_at) > new Date(budget.updated_at);
  const kind = wasCut ? 'bad' : stateOf(Math.max(...partsOf(budget).map(({ part }) => part)));
  return { kind, words: STATES[kind] };
}

/** Which agents use a model that no price fits. The echo costs nothing anyway. */
export function unpriced(agents, prices) {
  const fits = (pattern, model) => (pattern.endsWith('*') ? model.startsWith(pattern.slice(0, -1)) : pattern === model);
  return agents.filter(({ provider, model, is_active }) => is_active && provider !== 'echo' && !prices.some((price) => price.provider === provider && fits(price.model, model ?? '')));
}
