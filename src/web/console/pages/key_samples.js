// Calls that a program makes with a new key, ready to run: [[title, text], …] for what its scopes open.
export function samplesOf({ api_key: key, agent_id: agent, scopes }, base) {
  const samples = [];
  if (scopes.includes('chat'))
    samples.push(
      ['curl', `curl ${base}/v1/chat/completions \\
  -H "Authorization: Bearer ${key}" \\
  -H "Content-Type: application/json" \\
  -d '{"model": "${agent}", "messages": [{"role": "user", "content": "Hello"}]}'`],
      ['OpenAI SDK, Python', `from openai import OpenAI

client = OpenAI(base_url="${base}/v1", api_key="${key}")
stream = client.chat.completions.create(
    model="${agent}",
    messages=[{"role": "user", "content": "Hello"}],
    stream=True,
)
for chunk in stream:
    print(chunk.choices[0].delta.content or "", end="")`],
      ['OpenAI SDK, JavaScript', `import OpenAI from 'openai';

const client = new OpenAI({ baseURL: '${base}/v1', apiKey: '${key}' });
const stream = await client.chat.completions.create({
  model: '${agent}',
  messages: [{ role: 'user', content: 'Hello' }],
  stream: true,
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? '');`],
    );
  if (scopes.includes('documents'))
    samples.push(['curl, search of documents', `curl ${base}/api/v1/documents/search \\
  -H "X-API-Key: ${key}" \\
  -H "Content-Type: application/json" \\
  -d '{"query": "How do I return a parcel?"}'`]);
  if (scopes.includes('admin:read'))
    samples.push(['curl, the team’s users', `curl ${base}/api/users -H "X-API-Key: ${key}"`]);
  return samples;
}
