// The portal: what pages there are, and the start.
import { loadSession } from './shell/api.js';
import { replace } from './shell/dom.js';
import { failure, page, start } from './shell/router.js';
import { application } from './pages/application.js';
import { applications } from './pages/applications.js';
import { auditTrail } from './pages/audit.js';
import { catalog } from './pages/catalog.js';
import { eventApi } from './pages/event-api.js';
import { addGateway, gateways } from './pages/gateways.js';
import { home } from './pages/home.js';
import { importApi } from './pages/import.js';
import { invitation, resetPassword, signUp } from './pages/newcomer.js';
import { own } from './pages/own.js';
import { ownApi } from './pages/own-api.js';
import { ownRestApi } from './pages/own-rest-api.js';
import { people } from './pages/people.js';
import { profile } from './pages/profile.js';
import { publish } from './pages/publish.js';
import { restApi } from './pages/rest-api.js';
import { scorecardRule, scorecardRules } from './pages/scorecard-rules.js';
import { signIn } from './pages/sign-in.js';
import { subscribe } from './pages/subscribe.js';
import { teams } from './pages/teams.js';
import { topicList } from './pages/topics.js';
import { tryOut } from './pages/try.js';
import { versionList } from './pages/versions.js';

page('/', { nav: 'Start', signedIn: true, show: home });
page('/catalog', { nav: 'REST and event APIs', signedIn: true, visitors: true, show: catalog });
page('/event-apis/:name/:major/try', { signedIn: true, show: tryOut });
page('/event-apis/:name/:major', { signedIn: true, visitors: true, show: eventApi });
page('/rest-apis/:name', { signedIn: true, visitors: true, show: restApi });
page('/applications', { nav: 'Applications', signedIn: true, show: applications });
page('/applications/:name', { signedIn: true, show: application });
page('/subscribe/:product/:plan', { signedIn: true, show: subscribe });
page('/own', { nav: 'Own', signedIn: true, needs: 'event-apis:write', show: own });
page('/own/publish', { signedIn: true, show: publish });
page('/own/event-apis/:name/:major', { signedIn: true, show: ownApi });
page('/own/import', { signedIn: true, show: importApi });
page('/own/rest-apis/:name', { signedIn: true, show: ownRestApi });
page('/operate', { nav: 'Operate', signedIn: true, needs: 'gateway-nodes:read', show: gateways });
page('/operate/add-gateway', { signedIn: true, show: addGateway });
page('/operate/topics', { signedIn: true, show: topicList });
page('/operate/versions', { signedIn: true, show: versionList });
page('/operate/people', { signedIn: true, show: people });
page('/operate/scorecards', { signedIn: true, show: scorecardRules });
page('/operate/scorecards/new', { signedIn: true, show: scorecardRule });
page('/operate/scorecards/rules/:name', { signedIn: true, show: scorecardRule });
page('/operate/audit', { signedIn: true, show: auditTrail });
page('/teams', { nav: 'Teams', signedIn: true, show: teams });
page('/sign-in', { show: signIn });
page('/sign-up', { show: signUp });
page('/invitation', { show: invitation });
page('/reset', { show: resetPassword });
page('/profile', { signedIn: true, show: profile });

try {
  await loadSession();
  await start();
} catch (problem) {
  replace(document.getElementById('main'), failure(problem));
}
