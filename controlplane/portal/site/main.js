// The portal: what pages there are, and the start.
import { loadSession } from './shell/api.js';
import { replace } from './shell/dom.js';
import { failure, page, start } from './shell/router.js';
import { application } from './pages/application.js';
import { applications } from './pages/applications.js';
import { catalog } from './pages/catalog.js';
import { eventApi } from './pages/event-api.js';
import { home } from './pages/home.js';
import { invitation, signUp } from './pages/newcomer.js';
import { profile } from './pages/profile.js';
import { signIn } from './pages/sign-in.js';
import { subscribe } from './pages/subscribe.js';
import { tryOut } from './pages/try.js';

page('/', { nav: 'Start', signedIn: true, show: home });
page('/catalog', { nav: 'Event APIs', signedIn: true, show: catalog });
page('/event-apis/:name/:major/try', { signedIn: true, show: tryOut });
page('/event-apis/:name/:major', { signedIn: true, show: eventApi });
page('/applications', { nav: 'Applications', signedIn: true, show: applications });
page('/applications/:name', { signedIn: true, show: application });
page('/subscribe/:product/:plan', { signedIn: true, show: subscribe });
page('/sign-in', { show: signIn });
page('/sign-up', { show: signUp });
page('/invitation', { show: invitation });
page('/profile', { signedIn: true, show: profile });

try {
  await loadSession();
  await start();
} catch (problem) {
  replace(document.getElementById('main'), failure(problem));
}
