import { AerieChat } from './widget.js';

customElements.define('aerie-chat', AerieChat);
