import { h } from '../shell/dom.js';
import { post, session, setSession } from '../shell/api.js';
import { field, form } from '../shell/form.js';
import { go, safePath } from '../shell/router.js';

// Of sign-in providers: a link leaves the portal and comes back to where somebody wanted to go.
function providers(to) {
  const list = session.providers ?? [];
  if (list.length === 0) return null;
  return h('section', { 'aria-label': 'Other ways to sign in' }, list.map((provider) => h('p', {},
    h('a', { class: 'button', href: `/auth/providers/${encodeURIComponent(provider.name)}/start?to=${encodeURIComponent(to)}` },
      `Sign in with ${provider.title || provider.name}`))));
}

export function signIn({ query }) {
  const to = safePath(query.get('to'));
  if (session.signed_in) {
    go(to, true);
    return null;
  }
  return h('div', { class: 'narrow' },
    h('h1', {}, 'Sign in'),
    query.get('failed') && h('div', { class: 'notice bad', role: 'alert' }, h('p', {}, query.get('failed'))),
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
    session.sign_up === 'open' ? h('p', {}, h('a', { href: '/sign-up' }, 'Make an account')) : null,
    session.sign_up === 'invitation' ? h('p', { class: 'quiet' }, 'No account? Ask a colleague for an invitation.') : null);
}
