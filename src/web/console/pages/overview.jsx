import { Page } from '../parts/page.jsx';

export function Overview() {
  return <Page title="Overview" />;
}
