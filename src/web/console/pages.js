// The pages of the console: a file and a row each. icon: those with one stand in the menu, under their group.
import { Overview } from './pages/overview.jsx';
import { Account } from './pages/account.jsx';

export const pages = [
  { path: '/', title: 'Overview', component: Overview, icon: 'home', group: '' },
  { path: '/account', title: 'Your account', component: Account },
];
