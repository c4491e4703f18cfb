export class AerieChat extends HTMLElement {}
