// The OpenAPI and AsyncAPI documents of a deployment. Over HTTP they are the gateway's own, with the addresses and the ways to
// sign in of its group; where pages may not ask the gateway they are links alone. What is reached by Kafka alone has an AsyncAPI
// document of the catalog's, and none of OpenAPI.
import { h, notice, replace } from '../shell/dom.js';
import { get, key, url } from '../shell/api.js';
import { code } from '../shell/parts.js';
import { base, overHttp } from './snippets.js';
import { ask } from './trial.js';

// [title, address, function that gets it] of each.
function sources(api, deployment) {
  const http = overHttp(api) && base(api, deployment);
  if (http) return [['OpenAPI', `${http}/openapi.json`, ask], ['AsyncAPI', `${http}/asyncapi.json`, ask]];
  const kafka = deployment.topic && deployment.kafka_url;
  return kafka ? [['AsyncAPI', url(`/v1/catalog/${key(`${api.name}.v${api.major}`)}/asyncapi`, { gateway_group: deployment.group }), get]] : [];
}

// A file of this page's own: browsers save what comes from elsewhere only if that says so.
function saved(text, name) {
  return h('a', { href: URL.createObjectURL(new Blob([text], { type: 'application/json' })), download: name }, 'Download');
}

// null when there are none.
export function documents(api, deployment) {
  const all = sources(api, deployment);
  const place = h('div', { 'aria-live': 'polite' });
  const show = async (title, address, fetched) => {
    replace(place, h('p', { class: 'quiet' }, 'Waiting for the document…'));
    try {
      const text = JSON.stringify(await fetched(address), null, 2);
      replace(place, h('p', {}, saved(text, `${api.name}.v${api.major}-${deployment.environment}-${title.toLowerCase()}.json`)), code(title, text));
    } catch (problem) {
      replace(place, notice('bad', h('p', {}, `It cannot be shown here. ${problem.message} `, h('a', { href: address, target: '_blank', rel: 'noopener' }, `Open the ${title} document`))));
    }
  };
  return all.length === 0 ? null : h('div', {},
    h('p', { class: 'row' }, all.map(([title, address, fetched]) => [
      h('a', { href: address, target: '_blank', rel: 'noopener' }, title),
      h('button', { type: 'button', class: 'link', 'aria-label': `show here: ${title} of ${deployment.environment}`, onclick: () => show(title, address, fetched) }, 'show here'),
    ])), place);
}
