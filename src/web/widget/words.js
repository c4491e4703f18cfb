// The widget's own words, one line a language, in the order of NAMES. {0} is a number of seconds.

const NAMES = 'open|close|greeting|placeholder|send|stop|fresh|retry|copy|log|you|writing|lost|offline|stopped|interrupted|failed|often|refused|long|tab'.split('|');

const LINES = {
  en: 'Open chat|Close chat|Hello! How can I help?|Write a message…|Send|Stop|New chat|Try again|Copy|Messages|You|Writing…|Connection lost. Trying again…|You are offline. It goes on when you are back.|Stopped|Cut short|No answer came. Please try again.|Too many messages. Please wait {0} s.|This chat is not available here.|This message is too long.|opens in a new tab',
  de: 'Chat öffnen|Chat schließen|Hallo! Wie kann ich helfen?|Nachricht schreiben…|Senden|Stopp|Neuer Chat|Noch einmal|Kopieren|Nachrichten|Sie|Schreibt…|Verbindung verloren. Neuer Versuch…|Sie sind offline. Es geht weiter, sobald Sie wieder online sind.|Gestoppt|Abgebrochen|Es kam keine Antwort. Bitte noch einmal versuchen.|Zu viele Nachrichten. Bitte {0} s warten.|Dieser Chat ist hier nicht verfügbar.|Diese Nachricht ist zu lang.|öffnet in einem neuen Tab',
  fr: 'Ouvrir le chat|Fermer le chat|Bonjour ! Comment puis-je vous aider ?|Écrivez un message…|Envoyer|Arrêter|Nouvelle discussion|Réessayer|Copier|Messages|Vous|Écrit…|Connexion perdue. Nouvelle tentative…|Vous êtes hors ligne. La suite viendra à votre retour.|Arrêté|Interrompu|Aucune réponse. Veuillez réessayer.|Trop de messages. Veuillez attendre {0} s.|Ce chat n’est pas disponible ici.|Ce message est trop long.|s’ouvre dans un nouvel onglet',
  es: 'Abrir el chat|Cerrar el chat|¡Hola! ¿En qué puedo ayudar?|Escribe un mensaje…|Enviar|Detener|Chat nuevo|Reintentar|Copiar|Mensajes|Tú|Escribiendo…|Conexión perdida. Reintentando…|Estás sin conexión. Continuará cuando vuelvas.|Detenido|Interrumpido|No llegó ninguna respuesta. Inténtalo de nuevo.|Demasiados mensajes. Espera {0} s.|Este chat no está disponible aquí.|Este mensaje es demasiado largo.|se abre en una pestaña nueva',
  pt: 'Abrir o chat|Fechar o chat|Olá! Como posso ajudar?|Escreva uma mensagem…|Enviar|Parar|Nova conversa|Tentar de novo|Copiar|Mensagens|Você|Escrevendo…|Conexão perdida. Tentando de novo…|Você está offline. Continua quando você voltar.|Parado|Interrompido|Nenhuma resposta veio. Tente de novo.|Mensagens demais. Aguarde {0} s.|Este chat não está disponível aqui.|Esta mensagem é longa demais.|abre em uma nova aba',
  it: 'Apri la chat|Chiudi la chat|Ciao! Come posso aiutare?|Scrivi un messaggio…|Invia|Ferma|Nuova chat|Riprova|Copia|Messaggi|Tu|Sta scrivendo…|Connessione persa. Nuovo tentativo…|Sei offline. Si continua quando torni online.|Fermato|Interrotto|Nessuna risposta. Riprova.|Troppi messaggi. Attendi {0} s.|Questa chat non è disponibile qui.|Questo messaggio è troppo lungo.|si apre in una nuova scheda',
  nl: 'Chat openen|Chat sluiten|Hallo! Waarmee kan ik helpen?|Schrijf een bericht…|Versturen|Stoppen|Nieuwe chat|Opnieuw|Kopiëren|Berichten|U|Schrijft…|Verbinding verbroken. Nieuwe poging…|U bent offline. Het gaat verder zodra u terug bent.|Gestopt|Afgebroken|Er kwam geen antwoord. Probeer het opnieuw.|Te veel berichten. Wacht {0} s.|Deze chat is hier niet beschikbaar.|Dit bericht is te lang.|opent in een nieuw tabblad',
  pl: 'Otwórz czat|Zamknij czat|Dzień dobry! W czym mogę pomóc?|Napisz wiadomość…|Wyślij|Zatrzymaj|Nowy czat|Spróbuj ponownie|Kopiuj|Wiadomości|Ty|Pisze…|Utracono połączenie. Ponawiam…|Brak internetu. Ciąg dalszy po powrocie połączenia.|Zatrzymano|Przerwano|Brak odpowiedzi. Spróbuj ponownie.|Za dużo wiadomości. Poczekaj {0} s.|Ten czat nie jest tu dostępny.|Ta wiadomość jest za długa.|otwiera się w nowej karcie',
  tr: 'Sohbeti aç|Sohbeti kapat|Merhaba! Nasıl yardımcı olabilirim?|Bir mesaj yazın…|Gönder|Durdur|Yeni sohbet|Tekrar dene|Kopyala|Mesajlar|Siz|Yazıyor…|Bağlantı koptu. Yeniden deneniyor…|Çevrimdışısınız. Bağlantı gelince devam eder.|Durduruldu|Yarıda kesildi|Yanıt gelmedi. Lütfen tekrar deneyin.|Çok fazla mesaj. Lütfen {0} sn bekleyin.|Bu sohbet burada kullanılamıyor.|Bu mesaj çok uzun.|yeni sekmede açılır',
  ar: 'فتح المحادثة|إغلاق المحادثة|مرحبًا! كيف يمكنني المساعدة؟|اكتب رسالة…|إرسال|إيقاف|محادثة جديدة|إعادة المحاولة|نسخ|الرسائل|أنت|يكتب…|انقطع الاتصال. جارٍ إعادة المحاولة…|أنت غير متصل. سيستمر الرد عند عودتك.|تم الإيقاف|انقطع الرد|لم يصل رد. يرجى المحاولة مرة أخرى.|رسائل كثيرة جدًا. يرجى الانتظار {0} ث.|هذه المحادثة غير متاحة هنا.|هذه الرسالة طويلة جدًا.|يفتح في علامة تبويب جديدة',
  ja: 'チャットを開く|チャットを閉じる|こんにちは。ご用件をどうぞ。|メッセージを入力…|送信|停止|新しいチャット|再試行|コピー|メッセージ|あなた|入力中…|接続が切れました。再接続しています…|オフラインです。接続が戻ると続きます。|停止しました|途中で切れました|返答がありませんでした。もう一度お試しください。|メッセージが多すぎます。{0} 秒お待ちください。|ここではチャットを利用できません。|メッセージが長すぎます。|新しいタブで開きます',
  zh: '打开聊天|关闭聊天|您好！有什么可以帮您？|输入消息…|发送|停止|新聊天|重试|复制|消息|您|正在输入…|连接已断开，正在重试…|您已离线，恢复连接后将继续。|已停止|已中断|没有收到回复，请重试。|消息过多，请等待 {0} 秒。|此处无法使用该聊天。|消息太长。|在新标签页中打开',
};
export const LANGUAGES = Object.keys(LINES);

const RIGHT_TO_LEFT = new Set(['ar', 'he', 'fa', 'ur', 'yi', 'ps', 'sd', 'ug', 'ckb', 'dv']);

/** {lang, dir, words} of a setting: "de-AT", or "auto", which is the page's language, or else the browser's. */
export function wordsIn(language) {
  const asked = language && language !== 'auto' ? language : document.documentElement.lang || navigator.language || 'en';
  const base = asked.toLowerCase().split(/[-_]/)[0];
  const lang = Object.hasOwn(LINES, base) ? base : 'en';
  const texts = LINES[lang].split('|');
  return { lang, dir: RIGHT_TO_LEFT.has(base) ? 'rtl' : 'ltr', words: Object.fromEntries(NAMES.map((name, i) => [name, texts[i]])) };
}
