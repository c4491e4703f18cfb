// Sends a file and tells how far it is, which fetch cannot.
import { ApiError, get } from './api.js';

/** Resolves with {status, document}; throws an ApiError. onProgress gets 0…1. */
export async function upload(path, file, onProgress) {
  await get('/api/auth/me'); // renews a spent token first: the body is sent once
  return new Promise((resolve, reject) => {
    const form = new FormData();
    form.append('file', file);
    const request = new XMLHttpRequest();
    request.open('POST', path);
    request.responseType = 'json';
    request.upload.onprogress = ({ loaded, total }) => onProgress(loaded / total);
    request.onerror = () => reject(new ApiError(0, 'The upload was cut off: the server cannot be reached, or refused the file while it was sent.'));
    request.onload = () => {
      const { status, response } = request;
      if (status === 200 || status === 201) resolve({ status, document: response });
      else reject(new ApiError(status, response?.detail ?? `The server answered ${status}`));
    };
    request.send(form);
  });
}
