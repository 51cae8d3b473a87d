import { h, notice, replace } from '../shell/dom.js';
import { key, post, session, setSession } from '../shell/api.js';
import { field, form } from '../shell/form.js';
import { go, safePath } from '../shell/router.js';

// What the server says of a sign-in that did not work is a word; the texts are ours.
const FAILURES = {
  expired: 'The sign-in took too long, or was begun in another window. Try again.',
  denied: 'You are not known here. Ask a colleague for an invitation.',
  invitation: 'The invitation is not valid any more. Ask for another.',
  refused: 'The provider did not let you in.',
  unavailable: 'The provider cannot be reached at the moment. Try again later.',
};

// Of sign-in providers: the browser leaves the portal and comes back to where somebody wanted to go.
export function providers(to, invitation) {
  const list = session.providers ?? [];
  if (list.length === 0) return null;
  const wrong = h('div', {});
  return h('section', { 'aria-label': 'Other ways to sign in' }, wrong, list.map((provider) => h('p', {},
    h('button', {
      type: 'button',
      onclick: async () => {
        try {
          const { location: target } = await post(`/auth/providers/${key(provider.name)}/start`, { to, ...(invitation ? { invitation } : {}) });
          if (/^https?:/.test(target)) location.assign(target);
        } catch (problem) {
          replace(wrong, notice('bad', h('p', {}, problem.message)));
        }
      },
    }, `Sign in with ${provider.title || provider.name}`))));
}

export function signIn({ query }) {
  const to = safePath(query.get('to'));
  if (session.signed_in) {
    go(to, true);
    return null;
  }
  return h('div', { class: 'narrow' },
    h('h1', {}, 'Sign in'),
    Object.hasOwn(FAILURES, query.get('failed')) && notice('bad', h('p', {}, FAILURES[query.get('failed')])),
    h('div', { class: 'card' },
      form({
        submit: 'Sign in',
        send: async (values) => {
          setSession(await post('/auth/sign-in', values));
          await go(to, true);
        },
      },
      field({ name: 'name', label: 'Name or email address', autocomplete: 'username', required: true, autocapitalize: 'none', spellcheck: 'false' }),
      field({ name: 'password', label: 'Password', type: 'password', autocomplete: 'current-password', required: true }))),
    providers(to),
    session.public_catalog && h('p', {}, h('a', { href: '/catalog' }, 'Look around without signing in')),
    session.sign_up === 'open' ? h('p', {}, h('a', { href: '/sign-up' }, 'Make an account')) : null,
    session.sign_up === 'invitation' ? h('p', { class: 'quiet' }, 'No account? Ask a colleague for an invitation.') : null);
}
