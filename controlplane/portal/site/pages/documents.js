// The OpenAPI and AsyncAPI documents of a deployment: the gateway's own, with the addresses and the ways to sign in of its
// group. Where pages may not ask the gateway they are links alone.
import { h, notice, replace } from '../shell/dom.js';
import { code } from '../shell/parts.js';
import { ask } from './trial.js';

const DOCUMENTS = [['OpenAPI', 'openapi.json'], ['AsyncAPI', 'asyncapi.json']];

// A file of this page's own: browsers save what comes from elsewhere only if that says so.
function saved(text, name) {
  return h('a', { href: URL.createObjectURL(new Blob([text], { type: 'application/json' })), download: name }, 'Download');
}

export function documents(api, address, environment) {
  const place = h('div', { 'aria-live': 'polite' });
  const show = async (title, file) => {
    const url = `${address}/${file}`;
    replace(place, h('p', { class: 'quiet' }, 'Waiting for the gateway…'));
    try {
      const text = JSON.stringify(await ask(url), null, 2);
      replace(place, h('p', {}, saved(text, `${api.name}.v${api.major}-${environment}-${file}`)), code(title, text));
    } catch (problem) {
      replace(place, notice('bad', h('p', {}, `It cannot be shown here. ${problem.message} `, h('a', { href: url, target: '_blank', rel: 'noopener' }, `Open the ${title} document`))));
    }
  };
  return h('div', {},
    h('p', { class: 'row' }, DOCUMENTS.map(([title, file]) => [
      h('a', { href: `${address}/${file}`, target: '_blank', rel: 'noopener' }, title),
      h('button', { type: 'button', class: 'link', 'aria-label': `show here: ${title} of ${environment}`, onclick: () => show(title, file) }, 'show here'),
    ])), place);
}
