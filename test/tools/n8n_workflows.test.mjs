// etc/n8n: workflows that an n8n takes, as far as can be told without one: their nodes are of types, versions and parameters that its packages know, their
// connections lead to nodes of the right kind, nothing secret is inside, and what they read of a message is what Aerie sends, by a request that came.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie } from './aerie.mjs';

const folder = fileURLToPath(new URL('../../etc/n8n/', import.meta.url));
const text = /^[^]*$/;
const nothing = {};

/** By the description of each node in n8n-nodes-base 2.41.2 and @n8n/n8n-nodes-langchain 2.41.1, dist/nodes/<source>: the parameters that we set, and what they may be. */
const known = {
  'n8n-nodes-base.webhook': {
    source: 'Webhook/Webhook.node.js, description.js', versions: [1, 1.1, 2, 2.1], takes: [], gives: 'main',
    parameters: { httpMethod: /^POST$/, path: /^[\w-]+$/, responseMode: /^(lastNode|responseNode|streaming)$/, authentication: /^(none|headerAuth)$/, options: nothing },
  },
  'n8n-nodes-base.respondToWebhook': {
    source: 'RespondToWebhook/RespondToWebhook.node.js', versions: [1, 1.1, 1.2, 1.3, 1.4, 1.5], takes: ['main'], gives: 'main',
    parameters: { respondWith: /^json$/, responseBody: text, options: nothing },
  },
  'n8n-nodes-base.code': {
    source: 'Code/Code.node.js', versions: [1, 2], takes: ['main'], gives: 'main',
    parameters: { mode: /^runOnceForAllItems$/, language: /^javaScript$/, jsCode: text },
  },
  'n8n-nodes-base.set': {
    source: 'Set/v2/SetV2.node.js', versions: [3.3, 3.4, 3.5], takes: ['main'], gives: 'main',
    parameters: { mode: /^manual$/, includeOtherFields: [false], assignments: { assignments: [{ id: text, name: text, type: /^string$/, value: text }] }, options: nothing },
  },
  'n8n-nodes-base.stickyNote': {
    source: 'StickyNote/StickyNote.node.js', versions: [1], takes: [], gives: null,
    parameters: { content: text, height: 0, width: 0 },
  },
  '@n8n/n8n-nodes-langchain.agent': { // 3 is the first that streams
    source: 'agents/Agent/V3/AgentV3.node.js, agents/Agent/agents/ToolsAgent/V3/description.js', versions: [3, 3.1], takes: ['main', 'ai_languageModel', 'ai_memory'], gives: 'main',
    parameters: { promptType: /^define$/, text, options: { systemMessage: text, enableStreaming: [true] } },
  },
  '@n8n/n8n-nodes-langchain.lmChatOpenAi': {
    source: 'llms/LMChatOpenAi/LmChatOpenAi.node.js', versions: [1.2, 1.3], takes: [], gives: 'ai_languageModel',
    parameters: { model: { __rl: [true], mode: /^list$/, value: text }, options: nothing },
  },
  '@n8n/n8n-nodes-langchain.memoryBufferWindow': {
    source: 'memory/MemoryBufferWindow/MemoryBufferWindow.node.js, ../utils/descriptions.js', versions: [1.2, 1.3, 1.4], takes: [], gives: 'ai_memory',
    parameters: { sessionIdType: /^customKey$/, sessionKey: text, contextWindowLength: 0 },
  },
  '@n8n/n8n-nodes-langchain.chatTrigger': { // 1.3 is the first that streams so
    source: 'trigger/ChatTrigger/ChatTrigger.node.js', versions: [1.3, 1.4, 1.5], takes: [], gives: 'main',
    parameters: { public: [true], mode: /^webhook$/, authentication: /^none$/, options: { responseMode: /^streaming$/ } },
  },
};
const triggers = ['n8n-nodes-base.webhook', '@n8n/n8n-nodes-langchain.chatTrigger'];

function checkParameters(given, wanted, at) {
  for (const [name, value] of Object.entries(given)) {
    const want = wanted[name];
    const where = `${at}.${name}`;
    assert.notEqual(want, undefined, `${where} is no parameter that is known`);
    if (want instanceof RegExp) assert.match(String(value), want, where);
    else if (typeof want === 'number') assert.equal(typeof value, 'number', where);
    else if (Array.isArray(want) && typeof want[0] === 'object') for (const item of value) checkParameters(item, want[0], where);
    else if (Array.isArray(want)) assert.ok(want.includes(value), where);
    else checkParameters(value, want, where);
  }
}

let sent; // what Aerie really sends
let aerie;
let upstream;
before(async () => {
  upstream = await startUpstream();
  aerie = await Aerie.start();
  const agent = await aerie.admin.agent({ webhook_url: upstream.url(), system_prompt: 'You know it all.' });
  const chat = await aerie.admin.chat(agent);
  await aerie.admin.ask(chat, 'Do you ship to Norway?');
  sent = { body: upstream.requests.at(-1).json, chat: chat.id };
  assert.equal(sent.body.chatInput, 'Do you ship to Norway?');
});
after(async () => {
  await aerie?.stop();
  await upstream?.close();
});

/** What an expression of n8n gives; $json is what the node before gave. */
function evaluate(expression, $json, first) {
  const [, inside] = /^=\{\{ ([^]+) \}\}$/.exec(expression) ?? assert.fail(`not one expression: ${expression}`);
  return new Function('$json', '$', `return (${inside});`)($json, (name) => ({ first: () => ({ json: name === first.name ? first.json : assert.fail(`no node ${name} before it`) }) }));
}

for (const file of readdirSync(folder))
  describe(`n8n workflow ${file}`, () => {
    const name = file.replace('.json', '').replaceAll('-', '_');
    const content = readFileSync(folder + file, 'utf8');
    const workflow = JSON.parse(content);
    const byName = new Map(workflow.nodes.map((node) => [node.name, node]));
    const of = (type) => workflow.nodes.find((node) => node.type.endsWith(`.${type}`));
    const trigger = workflow.nodes.find((node) => triggers.includes(node.type));
    /** What the trigger gives: a webhook the whole request, a chat trigger its body's fields. */
    const given = () => (trigger.type.endsWith('webhook') ? { headers: {}, params: {}, query: {}, body: sent.body } : sent.body);

    test(`${name}_has_nodes_that_are_known`, () => {
      assert.deepEqual(Object.keys(workflow).sort(), ['active', 'connections', 'name', 'nodes', 'pinData', 'settings']);
      assert.equal(workflow.active, false, 'whoever imports it looks at it first');
      assert.equal(new Set(workflow.nodes.map((node) => node.id)).size, workflow.nodes.length);
      assert.equal(byName.size, workflow.nodes.length);
      for (const node of workflow.nodes) {
        const kind = known[node.type] ?? assert.fail(`no node ${node.type} is known`);
        assert.ok(kind.versions.includes(node.typeVersion), `${node.type} ${node.typeVersion}`);
        checkParameters(node.parameters, kind.parameters, node.name);
        for (const key of Object.keys(node)) assert.ok(['parameters', 'id', 'name', 'type', 'typeVersion', 'position', 'webhookId'].includes(key), `${node.name}.${key}`);
        assert.equal(triggers.includes(node.type), 'webhookId' in node, `${node.name}: a trigger's address is its webhookId's, or its path's`);
      }
    });

    test(`${name}_has_connections_that_lead_somewhere`, () => {
      const reached = new Set([trigger.name]);
      for (const [from, outputs] of Object.entries(workflow.connections)) {
        const source = known[byName.get(from)?.type] ?? assert.fail(`no node ${from}`);
        for (const [type, [targets, ...others]] of Object.entries(outputs)) {
          assert.deepEqual([type, others], [source.gives, []]);
          for (const target of targets) {
            assert.deepEqual({ ...target, node: 0 }, { node: 0, type, index: 0 });
            assert.ok(known[byName.get(target.node)?.type]?.takes.includes(type), `${from} to ${target.node} by ${type}`);
            reached.add(target.node).add(from);
          }
        }
      }
      for (const node of workflow.nodes) assert.ok(reached.has(node.name) || node.type.endsWith('stickyNote'), `${node.name} stands alone`);
    });

    test(`${name}_holds_no_credentials`, () => {
      assert.doesNotMatch(content, /"credentials"|sk-[\w-]{8}|eyJ[\w-]{10}|https?:\/\//);
      if (trigger.type.endsWith('webhook') && file !== 'first-try.json') assert.match(of('stickyNote').parameters.content, /Header Auth.*`Authorization`.*`Bearer `.*webhook_token/, 'it says how to close it');
    });

    test(`${name}_answers_as_its_trigger_says`, () => {
      const mode = trigger.parameters.responseMode ?? trigger.parameters.options.responseMode;
      assert.equal(mode === 'streaming', Boolean(of('agent')), 'a stream needs a node that streams');
      assert.equal(mode === 'responseNode', Boolean(of('respondToWebhook')));
    });

    test(`${name}_reads_what_aerie_sends`, () => {
      const first = { name: trigger.name, json: given() };
      if (of('agent')) {
        assert.equal(evaluate(of('agent').parameters.text, first.json, first), 'Do you ship to Norway?');
        const { systemMessage } = of('agent').parameters.options;
        if (systemMessage.startsWith('=')) assert.equal(evaluate(systemMessage, first.json, first), 'You know it all.');
        assert.equal(evaluate(of('memoryBufferWindow').parameters.sessionKey, first.json, first), sent.chat, 'a memory of its own for each chat');
      } else if (of('code')) {
        const [{ json }] = new Function('$input', of('code').parameters.jsCode)({ first: () => ({ json: first.json }) });
        assert.deepEqual(json, { output: `n8n got "Do you ship to Norway?". It is message 1 that I see of chat ${sent.chat}.` });
      } else {
        const [{ name: field, value }] = of('set').parameters.assignments.assignments;
        const set = { [field]: evaluate(value, first.json, first) };
        assert.deepEqual(JSON.parse(evaluate(of('respondToWebhook').parameters.responseBody, set, first)), { output: 'You said: Do you ship to Norway?' });
      }
    });
  });
