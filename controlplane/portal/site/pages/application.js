// One application: its credentials, subscriptions and usage.
import { h, notice, once, say, table, when } from '../shell/dom.js';
import { del, get, key, may, post, session } from '../shell/api.js';
import { field, form } from '../shell/form.js';
import { all, ask, part, tag } from '../shell/parts.js';
import { go } from '../shell/router.js';
import { filled } from './applications.js';
import { usage } from './usage.js';

const SECRETS = [['api_key', 'API key, for HTTP'], ['username', 'User name, for Kafka'], ['secret', 'Secret, for Kafka']];

// What is shown once stays until somebody leaves the page.
function showOnce(place, made) {
  place.append(h('section', { 'aria-label': 'New credential', tabindex: '-1' },
    notice('', h('p', {}, 'The credential is made. It is shown this once: keep it where secrets are kept.')),
    SECRETS.filter(([name]) => made[name]).map(([name, label]) => once(label, made[name]))));
  place.lastElementChild.focus();
  say('The credential is made.');
}

function state(credential) {
  if (credential.revoked_at) return tag('revoked');
  if (credential.disabled) return tag('disabled');
  return credential.expires_at && new Date(credential.expires_at) < new Date() ? tag('expired') : tag('active');
}

function credentialButtons(credential, place, again) {
  const name = credential.title || credential.id;
  if (credential.revoked_at) {
    return h('button', {
      type: 'button',
      class: 'bad',
      'aria-label': `Delete ${name}`,
      onclick: () => ask('Delete the credential?', `${name} is revoked already. Deleted, it is in the audit trail alone.`, 'Delete', async () => {
        await del(`/v1/credentials/${key(credential.id)}`);
        say('The credential is deleted.');
        await again();
      }),
    }, 'Delete');
  }
  return h('div', { class: 'row' },
    credential.type === 'secret' && h('button', {
      type: 'button',
      'aria-label': `Rotate ${name}`,
      onclick: () => ask('Rotate the credential?', 'A new one is made. This one works on until you revoke it: do so once the application uses the new one.', 'Make a new one', async () => {
        const made = await post('/v1/credentials', { application: credential.application, type: 'secret', ...(credential.title ? { title: credential.title } : {}) });
        showOnce(place, made);
        await again();
      }),
    }, 'Rotate'),
    h('button', {
      type: 'button',
      class: 'bad',
      'aria-label': `Revoke ${name}`,
      onclick: () => ask('Revoke the credential?', `${name} stops working at once and for ever. What is connected with it is cut off.`, 'Revoke', async () => {
        await post(`/v1/credentials/${key(credential.id)}/revoke`);
        say('The credential is revoked.');
        await again();
      }),
    }, 'Revoke'));
}

function credentials(application, writable) {
  const place = h('div', {});
  return part('Credentials', async (again) => {
    const items = await all('/v1/credentials', { application: application.name });
    return h('div', {}, place,
      table('Credentials', ['What', 'Kind', 'State', 'Made', 'Ends', ''], items.map((item) => [
        item.title || item.id, item.type, state(item), when(item.created_at), item.expires_at ? when(item.expires_at) : 'never',
        writable && credentialButtons(item, place, again),
      ]), 'There is no credential yet.'),
      writable && [h('h3', {}, 'New credential'), form({
        submit: 'Make a credential',
        send: async (values, element) => {
          const made = await post('/v1/credentials', { application: application.name, type: 'secret', ...filled(values) });
          element.reset();
          showOnce(place, made);
          await again();
        },
      }, field({ name: 'title', label: 'Where it is used', maxlength: 100 }))]);
  });
}

function subscriptionButtons(item, again) {
  if (!['pending', 'approved', 'suspended'].includes(item.state)) return null;
  return h('button', {
    type: 'button',
    class: 'bad',
    'aria-label': `End the subscription to ${item.plan} in ${item.environment}`,
    onclick: () => ask('End the subscription?', `${item.application} has no access to ${item.product} in ${item.environment} any more. Open streams are closed.`, 'End it', async () => {
      await del(`/v1/subscriptions/${key(item.id)}`);
      say('The subscription has ended.');
      await again();
    }),
  }, 'End');
}

function subscriptions(application, writable) {
  return part('Subscriptions', async (again) => {
    const items = await all('/v1/subscriptions', { application: application.name });
    return h('div', {},
      table('Subscriptions', ['Product', 'Plan', 'Environment', 'State', 'Since', 'Why', ''], items.map((item) => [
        item.product, item.plan.split('.').pop(), item.environment, tag(item.state), when(item.created_at), item.reason || '–', writable && subscriptionButtons(item, again),
      ]), 'There is no subscription yet.'),
      h('p', {}, h('a', { href: '/catalog' }, 'Find event APIs to subscribe to')));
  });
}

function removal(application) {
  return h('p', {}, h('button', {
    type: 'button',
    class: 'bad',
    onclick: () => ask('Delete the application?', `${application.name} is deleted. Its subscriptions have to be ended, and its credentials revoked and deleted before.`, 'Delete', async () => {
      await del(`/v1/applications/${key(application.name)}`);
      say('The application is deleted.');
      await go('/applications');
    }),
  }, 'Delete the application'));
}

export async function application({ params, query }) {
  const found = await get(`/v1/applications/${key(params.name)}`);
  const writable = may('applications:write') && session.user.teams.some((team) => team.name === found.team);
  const told = { approved: 'The subscription is approved: credentials of this application work for it now.', pending: 'The subscription waits for the owners of the product to approve it.' }[query.get('subscribed')];
  return h('div', {},
    h('h1', {}, found.title || found.name),
    told && notice('good', h('p', {}, told)),
    h('section', { class: 'card', 'aria-label': 'Facts' }, h('dl', { class: 'facts' },
      h('dt', {}, 'Name'), h('dd', {}, found.name), h('dt', {}, 'Team'), h('dd', {}, found.team), h('dt', {}, 'What it does'), h('dd', {}, found.description || '–'))),
    may('credentials:read') && credentials(found, writable && may('credentials:write')),
    may('subscriptions:read') && subscriptions(found, writable && may('subscriptions:write')),
    may('usage:read') && usage({ application: found.name }),
    writable && removal(found));
}
