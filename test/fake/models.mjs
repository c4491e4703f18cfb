// Model providers, each by its own protocol: what they answer, and what they refuse. The refusals are theirs too, so that a request
// they would not take fails a test.
//   /openai/v1/chat/completions · /anthropic/v1/messages · /gemini/v1beta/models/{model}:streamGenerateContent
// Options: finish (the provider's own word), thinking, tools (deltas that are no text), fail (an error in the stream, by its number),
// fail_after (pieces of text before it), whole (not streamed), stray (gemini: the error breaks the format), array (gemini: not as
// events), blocked (gemini: the prompt is refused, and why).

export const KEYS = { openai: 'sk-fake-openai', anthropic: 'sk-ant-fake', gemini: 'AIzaFake' };

/** What a refusal brings: {status, body}. */
class Refusal extends Error {
  constructor(status, body) {
    super(`${status}`);
    Object.assign(this, { status, body });
  }
}

const isBlank = (text) => typeof text !== 'string' || text.trim() === '';
const isList = Array.isArray;

/** The tokens that come before the failure, if there is one. */
function spoken(tokens, options) {
  return options.fail === undefined ? tokens : tokens.slice(0, Number(options.fail_after ?? tokens.length));
}

// ---- OpenAI ----

const openaiNames = { 400: ['invalid_request_error', null], 401: ['invalid_request_error', 'invalid_api_key'], 403: ['invalid_request_error', null], 404: ['invalid_request_error', 'model_not_found'], 429: ['requests', 'rate_limit_exceeded'], 500: ['server_error', null], 503: ['server_error', null] };

function openaiError(status, message = 'The server had an error while processing your request. Sorry about that!') {
  const [type, code] = openaiNames[status] ?? openaiNames[500];
  return { error: { message, type, param: null, code } };
}

const openaiFields = new Set(['model', 'messages', 'stream', 'stream_options', 'frequency_penalty', 'logit_bias', 'max_completion_tokens', 'max_tokens', 'presence_penalty', 'reasoning_effort', 'response_format', 'seed', 'stop', 'temperature', 'top_p']);

function checkOpenai({ method, headers, json }) {
  const refuse = (status, message) => { throw new Refusal(status, openaiError(status, message)); };
  if (method !== 'POST') refuse(405, `Not allowed to ${method} on /v1/chat/completions`);
  if (!/^Bearer ./.test(headers.authorization ?? '')) refuse(401, "You didn't provide an API key.");
  if (headers.authorization !== `Bearer ${KEYS.openai}`) refuse(401, 'Incorrect API key provided.');
  if (!json || isList(json)) refuse(400, 'We could not parse the JSON body of your request.');
  for (const name of Object.keys(json)) if (!openaiFields.has(name)) refuse(400, `Unrecognized request argument supplied: ${name}`);
  if (isBlank(json.model)) refuse(400, 'you must provide a model parameter');
  if (!isList(json.messages) || json.messages.length === 0) refuse(400, "Invalid 'messages': empty array.");
  for (const { role, content } of json.messages) {
    if (!['system', 'developer', 'user', 'assistant'].includes(role)) refuse(400, `Invalid value: '${role}'.`);
    if (typeof content !== 'string') refuse(400, 'Invalid type for content.');
  }
  if (json.stream_options && !json.stream) refuse(400, "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
}

/** [content type, pieces]; also what servers that are compatible send. */
export function openaiReply(tokens, options, request) {
  const base = { id: 'chatcmpl-1', created: 1, model: request.json?.model ?? 'fake-model', system_fingerprint: 'fp_1' };
  const finish = options.finish ?? 'stop';
  const usage = { prompt_tokens: 7, completion_tokens: tokens.length, total_tokens: 7 + tokens.length };
  if (!request.json?.stream || options.whole) {
    const message = { role: 'assistant', content: tokens.join(''), refusal: null };
    return ['application/json', [JSON.stringify({ ...base, object: 'chat.completion', choices: [{ index: 0, message, logprobs: null, finish_reason: finish }], usage })]];
  }
  const wantsUsage = request.json.stream_options?.include_usage;
  const event = (object) => `data: ${JSON.stringify(object)}\n\n`;
  const chunk = (delta, finish_reason = null) =>
    event({ ...base, object: 'chat.completion.chunk', choices: [{ index: 0, delta, logprobs: null, finish_reason }], ...(wantsUsage ? { usage: null } : {}) });
  const call = (delta) => chunk({ tool_calls: [{ index: 0, ...delta }] });
  return ['text/event-stream; charset=utf-8', [
    chunk({ role: 'assistant', content: '', refusal: null }),
    ...(options.thinking ? [chunk({ reasoning_content: 'let me think' }), chunk({ reasoning: 'hmm' })] : []),
    ...spoken(tokens, options).map((content) => chunk({ content })),
    ...(options.tools ? [call({ id: 'call_1', type: 'function', function: { name: 'look', arguments: '' } }), call({ function: { arguments: '{"content":' } }), call({ function: { arguments: '"no"}' } })] : []),
    ...(options.fail !== undefined ? [event(openaiError(Number(options.fail)))] : [
      chunk({}, finish),
      ...(wantsUsage ? [event({ ...base, object: 'chat.completion.chunk', choices: [], usage })] : []),
      ...(options.done === '0' ? [] : ['data: [DONE]\n\n']),
    ]),
  ]];
}

// ---- Anthropic ----

const anthropicNames = { 400: 'invalid_request_error', 401: 'authentication_error', 402: 'billing_error', 403: 'permission_error', 404: 'not_found_error', 413: 'request_too_large', 429: 'rate_limit_error', 500: 'api_error', 504: 'timeout_error', 529: 'overloaded_error' };

function anthropicError(status, message = 'Overloaded') {
  return { type: 'error', error: { type: anthropicNames[status] ?? 'api_error', message }, request_id: 'req_1' };
}

const anthropicFields = new Set(['model', 'messages', 'system', 'max_tokens', 'stream', 'stop_sequences', 'temperature', 'thinking', 'top_k', 'top_p']);

function checkAnthropic({ method, headers, json }) {
  const refuse = (status, message) => { throw new Refusal(status, anthropicError(status, message)); };
  if (method !== 'POST') refuse(405, 'Method Not Allowed');
  if (!headers['x-api-key']) refuse(401, 'x-api-key header is required');
  if (headers['x-api-key'] !== KEYS.anthropic || headers.authorization) refuse(401, 'invalid x-api-key');
  if (headers['anthropic-version'] !== '2023-06-01') refuse(400, 'anthropic-version: header is required');
  if (!json || isList(json)) refuse(400, 'The request body is not valid JSON');
  for (const name of Object.keys(json)) if (!anthropicFields.has(name)) refuse(400, `${name}: Extra inputs are not permitted`);
  if (isBlank(json.model)) refuse(400, 'model: Field required');
  if (json.max_tokens === undefined) refuse(400, 'max_tokens: Field required');
  if (!Number.isInteger(json.max_tokens) || json.max_tokens < 1) refuse(400, 'max_tokens: Input should be greater than or equal to 1');
  if (json.system !== undefined && typeof json.system !== 'string') refuse(400, 'system: Input should be a valid string');
  if (json.stop_sequences !== undefined && !isList(json.stop_sequences)) refuse(400, 'stop_sequences: Input should be a valid list');
  if (json.temperature !== undefined && !(json.temperature >= 0 && json.temperature <= 1)) refuse(400, 'temperature: range: 0..1');
  if (!isList(json.messages) || json.messages.length === 0) refuse(400, 'messages: at least one message is required');
  json.messages.forEach(({ role, content }, i) => {
    if (!['user', 'assistant'].includes(role)) refuse(400, `messages: Unexpected role "${role}". The Messages API accepts a top-level \`system\` parameter.`);
    if (i === 0 && role !== 'user') refuse(400, 'messages: first message must use the "user" role');
    if (role === json.messages[i - 1]?.role) refuse(400, 'messages: roles must alternate between "user" and "assistant"');
    if (!isList(content) || content.length === 0) refuse(400, `messages.${i}: all messages must have non-empty content`);
    for (const block of content) {
      if (block.type !== 'text') refuse(400, `messages.${i}.content.0.type: Field required`);
      if (isBlank(block.text)) refuse(400, 'messages: text content blocks must contain non-whitespace text');
    }
  });
}

function anthropicReply(tokens, options, { json }) {
  const message = { model: json.model, id: 'msg_1', type: 'message', role: 'assistant' };
  const input = { input_tokens: 4, cache_creation_input_tokens: 1, cache_read_input_tokens: 2 };
  const ending = { stop_reason: options.finish ?? 'end_turn', stop_sequence: null };
  const thought = { type: 'thinking', thinking: '', signature: '' };
  const tool = { type: 'tool_use', id: 'toolu_1', name: 'look', input: {} };
  if (!json.stream || options.whole) {
    const content = [...(options.thinking ? [{ ...thought, thinking: 'let me think' }] : []), { type: 'text', text: tokens.join('') }, ...(options.tools ? [tool] : [])];
    return ['application/json', [JSON.stringify({ ...message, content, ...ending, usage: { ...input, output_tokens: tokens.length } })]];
  }
  const event = (type, rest) => `event: ${type}\ndata: ${JSON.stringify({ type, ...rest }).slice(0, -1)}       }\n\n`; // padded, as theirs
  let index = -1;
  const block = (content_block, deltas, more = []) => [
    event('content_block_start', { index: ++index, content_block }),
    ...more,
    ...deltas.map((delta) => event('content_block_delta', { index, delta })),
  ];
  const stop = () => event('content_block_stop', { index });
  const ping = 'event: ping\ndata: {"type": "ping"}\n\n';
  const pieces = [event('message_start', { message: { ...message, content: [], stop_reason: null, stop_sequence: null, usage: { ...input, output_tokens: 1 } } })];
  if (options.thinking)
    pieces.push(...block(thought, [{ type: 'thinking_delta', thinking: 'let me think' }, { type: 'signature_delta', signature: 'EqQB' }]), stop());
  pieces.push(...block({ type: 'text', text: '' }, spoken(tokens, options).map((text) => ({ type: 'text_delta', text })), [ping]));
  if (options.fail !== undefined) return ['text/event-stream; charset=utf-8', [...pieces, `event: error\ndata: ${JSON.stringify(anthropicError(Number(options.fail)))}\n\n`]];
  pieces.push(stop());
  if (options.tools)
    pieces.push(...block(tool, ['', '{"text": ', '"no"}'].map((partial_json) => ({ type: 'input_json_delta', partial_json }))), ping, stop());
  if (options.done === '0') return ['text/event-stream; charset=utf-8', pieces];
  pieces.push(event('message_delta', { delta: ending, usage: { output_tokens: tokens.length } }), event('message_stop', {}));
  return ['text/event-stream; charset=utf-8', pieces];
}

// ---- Gemini ----

const geminiNames = { 400: 'INVALID_ARGUMENT', 401: 'UNAUTHENTICATED', 403: 'PERMISSION_DENIED', 404: 'NOT_FOUND', 429: 'RESOURCE_EXHAUSTED', 500: 'INTERNAL', 503: 'UNAVAILABLE', 504: 'DEADLINE_EXCEEDED' };

function geminiError(code, message = 'The model is overloaded. Please try again later.', details) {
  return { error: { code, message, status: geminiNames[code] ?? 'INTERNAL', ...(details ? { details } : {}) } };
}

const geminiFields = new Set(['contents', 'systemInstruction', 'generationConfig', 'safetySettings', 'tools', 'toolConfig', 'cachedContent']);
const geminiOptions = new Set(['stopSequences', 'candidateCount', 'maxOutputTokens', 'temperature', 'topP', 'topK', 'seed', 'presencePenalty', 'frequencyPenalty', 'thinkingConfig', 'responseMimeType', 'responseSchema']);

function checkGemini({ method, path, headers, json, options }) {
  const refuse = (status, message, details) => { throw new Refusal(status, geminiError(status, message, details)); };
  const model = /^\/gemini\/v1beta\/(models|tunedModels)\/([^/:]+):streamGenerateContent$/.exec(path);
  if (method !== 'POST' || !model) refuse(404, 'Requested entity was not found.');
  const key = headers['x-goog-api-key'] ?? options.key;
  if (!key) refuse(403, "Method doesn't allow unregistered callers (callers without established identity).");
  if (key !== KEYS.gemini) refuse(400, 'API key not valid. Please pass a valid API key.', [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'API_KEY_INVALID', domain: 'googleapis.com' }]);
  if (headers.authorization) refuse(401, 'Request had invalid authentication credentials.');
  if (!model[2].startsWith('gemini-')) refuse(404, `models/${model[2]} is not found for API version v1beta`);
  if (!json || isList(json)) refuse(400, 'Invalid JSON payload received.');
  const unknown = [...Object.keys(json).filter((name) => !geminiFields.has(name)), ...Object.keys(json.generationConfig ?? {}).filter((name) => !geminiOptions.has(name))];
  if (unknown.length) refuse(400, `Invalid JSON payload received. Unknown name "${unknown[0]}": Cannot find field.`);
  if (json.generationConfig?.stopSequences !== undefined && !isList(json.generationConfig.stopSequences)) refuse(400, 'Invalid value at generation_config.stop_sequences');
  if (!isList(json.contents) || json.contents.length === 0) refuse(400, '* GenerateContentRequest.contents: contents is not specified');
  json.contents.forEach(({ role, parts }, i) => {
    if (!['user', 'model'].includes(role)) refuse(400, 'Please use a valid role: user, model.');
    if (role === json.contents[i - 1]?.role || (i === 0 && role !== 'user')) refuse(400, 'Please ensure that multiturn requests alternate between user and model.');
    if (!isList(parts) || parts.length === 0) refuse(400, 'Unable to submit request because it must include at least one parts field.');
    for (const part of parts) if (Object.keys(part).join() !== 'text' || isBlank(part.text)) refuse(400, 'Unable to submit request because it has an empty text parameter.');
  });
  if (json.systemInstruction && isBlank(json.systemInstruction.parts?.[0]?.text)) refuse(400, 'Invalid value at system_instruction');
}

/** JSON as it writes it: a space after each colon, and what HTML could take amiss escaped. */
function spaced(value) {
  if (isList(value)) return `[${value.map(spaced).join(',')}]`;
  if (value && typeof value === 'object') return `{${Object.entries(value).map(([name, member]) => `"${name}": ${spaced(member)}`).join(',')}}`;
  return JSON.stringify(value).replace(/[<>&='\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function geminiReply(tokens, options, { path }) {
  const modelVersion = /([^/:]+):[^/]*$/.exec(path)[1];
  const counts = (n) => ({ promptTokenCount: 7, candidatesTokenCount: n, totalTokenCount: 10 + n, promptTokensDetails: [{ modality: 'TEXT', tokenCount: 7 }], thoughtsTokenCount: 3 });
  const chunk = (parts, n, finishReason) => ({
    candidates: [{ content: { parts, role: 'model' }, ...(finishReason ? { finishReason } : {}), index: 0 }],
    usageMetadata: counts(n),
    modelVersion,
    responseId: 'resp_1',
  });
  const text = spoken(tokens, options);
  const objects = [];
  if (options.thinking) objects.push(chunk([{ text: 'let me think', thought: true }], 0));
  text.forEach((token, i) => objects.push(chunk([{ text: token, ...(i === 0 && options.thinking ? { thoughtSignature: 'EjQK' } : {}) }], i + 1)));
  if (options.tools) objects.push(chunk([{ functionCall: { name: 'look', args: { text: 'no' } } }], tokens.length));
  const error = options.fail === undefined ? undefined : geminiError(Number(options.fail));
  if (options.blocked) objects.splice(0, objects.length, { promptFeedback: { blockReason: options.blocked }, usageMetadata: { promptTokenCount: 7, totalTokenCount: 7 }, modelVersion });
  else if (error && !options.stray) objects.push(error);
  else if (!error && options.done !== '0') {
    const finish = options.finish ?? 'STOP';
    if (finish === 'SAFETY') objects.push({ candidates: [{ finishReason: finish, index: 0 }], usageMetadata: counts(tokens.length), modelVersion }); // no content then
    else objects.push(chunk([{ text: '' }], tokens.length, finish));
  }
  if (options.whole) return ['application/json; charset=UTF-8', [JSON.stringify(chunk([{ text: tokens.join('') }], tokens.length, options.finish ?? 'STOP'), null, 2)]];
  if (options.alt !== 'sse' || options.array) return ['application/json; charset=UTF-8', objects.map((object, i) => `${i ? ',\r\n' : '['}${JSON.stringify(object, null, 2)}`).concat(']')];
  const pieces = objects.map((object) => `data: ${spaced(object)}\r\n\r\n`);
  if (error && options.stray) pieces.push(`${JSON.stringify(error, null, 2)}\n`);
  return ['text/event-stream', pieces];
}

// ---- all of them ----

const providers = {
  openai: { check: checkOpenai, reply: openaiReply, error: openaiError },
  anthropic: { check: checkAnthropic, reply: anthropicReply, error: anthropicError },
  gemini: { check: checkGemini, reply: geminiReply, error: geminiError },
};

/** {status, type, parts}; undefined: the path is none of a provider's. */
export function modelReply(tokens, options, request) {
  const provider = providers[/^\/(\w+)\/v1/.exec(request.path)?.[1]];
  const refused = (status, body) => ({ status, type: 'application/json', parts: [JSON.stringify(body)] });
  if (!provider) return undefined;
  try {
    provider.check(request);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    request.refused = error.body.error.message;
    return refused(error.status, error.body);
  }
  if (Number(options.status ?? 200) >= 400) return refused(Number(options.status), provider.error(Number(options.status)));
  const [type, parts] = provider.reply(tokens, options, request);
  return { status: 200, type, parts };
}
