import { render } from 'preact';
import './console.css';

render(<main><h1>Console</h1></main>, document.getElementById('console'));
