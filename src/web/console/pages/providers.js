// Who may answer in an agent's name, in words for people; and which fields each needs.
export const PROVIDERS = {
  n8n: { label: 'n8n workflow', about: 'Your workflow gets each message and streams its answer.' },
  echo: { label: 'Echo', about: 'Says your words back. Needs no network: good for a first try.' },
  openai: { label: 'OpenAI', about: 'A model of OpenAI, with your key.' },
  anthropic: { label: 'Anthropic', about: 'A Claude model, with your key.' },
  gemini: { label: 'Google Gemini', about: 'A Gemini model, with your key.' },
  groq: { label: 'Groq', about: 'Open models, answered fast, with your key.' },
  openrouter: { label: 'OpenRouter', about: 'Many makers’ models under one key.' },
  openai_compatible: { label: 'OpenAI-compatible', about: 'Your own server that speaks OpenAI’s protocol: vLLM, Ollama, LiteLLM.' },
};

export const labelOf = (provider) => PROVIDERS[provider]?.label ?? provider;

/** What of an agent matters to a provider. */
export function needsOf(provider) {
  const isModel = provider !== 'n8n' && provider !== 'echo';
  return {
    url: provider === 'n8n' || provider === 'openai_compatible',
    token: provider !== 'echo',
    model: isModel,
    prompt: provider !== 'echo',
  };
}
