// Gateway groups and their nodes, as they are now; and how another gateway joins.
import { h, notice, once, replace, say, table, when } from '../shell/dom.js';
import { key, may, post } from '../shell/api.js';
import { field, form } from '../shell/form.js';
import { all, ask, code, part, tag } from '../shell/parts.js';
import { leaving } from '../shell/router.js';
import { subMenu } from './operate.js';

const REFRESH_MS = 5000;

function nodeButtons(node, again) {
  const name = node.name || node.id;
  return h('div', { class: 'row' },
    may('nodes:drain') && node.state === 'connected' && !node.draining && h('button', {
      type: 'button',
      'aria-label': `Drain ${name}`,
      onclick: () => ask('Drain the gateway?', `${name} finishes what is open, and ends.`, 'Drain', async () => {
        await post(`/v1/gateway-nodes/${key(node.id)}/drain`);
        say(`${name} drains.`);
        await again();
      }),
    }, 'Drain'),
    may('nodes:revoke') && node.state !== 'revoked' && h('button', {
      type: 'button',
      class: 'bad',
      'aria-label': `Revoke ${name}`,
      onclick: () => ask('Revoke the gateway?', `${name} is shut out at once and cannot come back under this identity.`, 'Revoke', async () => {
        await post(`/v1/gateway-nodes/${key(node.id)}/revoke`);
        say(`${name} is revoked.`);
        await again();
      }),
    }, 'Revoke'));
}

function configuration(node) {
  if (node.last_nack) return h('span', {}, `${node.applied_version ?? 0} `, h('span', { class: 'tag bad' }, `refused ${node.last_nack.version}`), h('br'), h('span', { class: 'small' }, node.last_nack.message ?? ''));
  if (node.problem) return h('span', {}, `${node.applied_version ?? 0} `, h('span', { class: 'tag bad' }, 'problem'), h('br'), h('span', { class: 'small' }, node.problem));
  return String(node.applied_version ?? 0);
}

function group(item, nodes, again) {
  return h('section', { class: 'card' },
    h('h2', {}, `${item.title || item.name} `, h('span', { class: 'quiet small' }, item.environment)),
    h('dl', { class: 'facts' }, h('dt', {}, 'HTTP'), h('dd', {}, item.rest_url || 'no public address'), h('dt', {}, 'Kafka'), h('dd', {}, item.kafka_url || 'no public address')),
    table(`Gateways of ${item.name}`, ['Gateway', 'State', 'Program', 'Configuration', 'Connections', 'Last heard of', ''], nodes.map((node) => [
      node.name || node.id, tag(node.draining ? 'draining' : node.state), node.version ?? '–', configuration(node), node.connections ?? '–', when(node.last_seen), nodeButtons(node, again),
    ]), 'No gateway has joined yet.'));
}

async function load(again) {
  const [groups, nodes] = await Promise.all([all('/v1/gateway-groups'), all('/v1/gateway-nodes')]);
  return groups.length === 0
    ? h('p', { class: 'quiet' }, 'There is no gateway group yet.')
    : h('div', {}, groups.map((item) => group(item, nodes.filter((node) => node.group === item.name), again)));
}

// The table is replaced as it changes, unless somebody is just using it.
export function gateways() {
  let refresh = null;
  const list = part(null, async (again) => {
    refresh = again;
    return load(again);
  }, { class: 'bare', 'aria-label': 'Gateway groups' });
  const timer = setInterval(() => {
    if (!document.hidden && refresh && !list.contains(document.activeElement) && !document.querySelector('dialog')) refresh();
  }, REFRESH_MS);
  leaving(() => clearInterval(timer));
  return h('div', {}, h('h1', {}, 'Gateways'), subMenu(), may('enrolment-tokens:write') && h('p', {}, h('a', { class: 'button main', href: '/operate/add-gateway' }, 'Add a gateway')), list);
}

function commands(place, made) {
  const folder = '/var/lib/sluice-gateway';
  replace(place, h('section', { class: 'card', tabindex: '-1', 'aria-label': 'How it joins' },
    once('The join string is shown this once. Whoever has it can add gateways until it ends.', made.join),
    h('p', {}, 'On the machine of the gateway, with the join string in a file that only the gateway reads:'),
    code('Join', `install -m 600 /dev/null join && cat > join  # paste the join string, then Ctrl-D\nsluice-gateway --state-dir ${folder} --join-file join`),
    h('p', {}, 'With the Debian package put it into ', h('code', {}, '/etc/sluice/join'), ' and set ', h('code', {}, 'join-file'), ' in the configuration of the gateway.'),
    h('p', { class: 'quiet' }, 'It appears among the gateways as soon as it has joined. ', h('a', { href: '/operate' }, 'Look at the gateways'))));
  place.firstElementChild.focus();
  say('The join string is made.');
}

export async function addGateway() {
  const groups = await all('/v1/gateway-groups');
  const place = h('div', {});
  return h('div', {}, h('h1', {}, 'Add a gateway'), subMenu(),
    groups.length === 0
      ? notice('', h('p', {}, 'There is no gateway group yet: make one first.'))
      : h('div', { class: 'card' }, form({
        submit: 'Make a join string',
        send: async (values) => commands(place, await post('/v1/enrolment-tokens', { group: values.group, uses: Number(values.uses), expires_in: values.expires_in })),
      },
      field({ name: 'group', label: 'Gateway group', required: true, options: groups.map((item) => [item.name, item.title || item.name]) }),
      field({ name: 'uses', label: 'How many gateways', type: 'number', min: 1, value: '1', required: true }),
      field({ name: 'expires_in', label: 'For how long', required: true, options: [['1h', 'an hour'], ['1d', 'a day'], ['7d', 'a week']] }))),
    place);
}
