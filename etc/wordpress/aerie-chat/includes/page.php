<?php
/**
 * The page Settings → Aerie Chat.
 *
 * @package Aerie_Chat
 */

defined( 'ABSPATH' ) || exit;

/**
 * The page's address.
 *
 * @return string
 */
function aerie_chat_page_url() {
	return admin_url( 'options-general.php?page=aerie-chat' );
}

/**
 * Puts the page into the menu.
 */
function aerie_chat_add_page() {
	add_options_page( __( 'Aerie Chat', 'aerie-chat' ), __( 'Aerie Chat', 'aerie-chat' ), 'manage_options', 'aerie-chat', 'aerie_chat_show_page' );
}

/**
 * A link to it in the list of plugins.
 *
 * @param array $links What is there.
 * @return array
 */
function aerie_chat_action_links( $links ) {
	array_unshift( $links, '<a href="' . esc_url( aerie_chat_page_url() ) . '">' . esc_html__( 'Settings', 'aerie-chat' ) . '</a>' );
	return $links;
}

/**
 * WordPress' own colour picker.
 *
 * @param string $hook Which page.
 */
function aerie_chat_enqueue_page( $hook ) {
	if ( 'settings_page_aerie-chat' !== $hook ) {
		return;
	}
	wp_enqueue_style( 'wp-color-picker' );
	wp_enqueue_script( 'wp-color-picker' );
	wp_add_inline_script( 'wp-color-picker', 'jQuery( function ( $ ) { $( "#aerie-chat-color" ).wpColorPicker(); } );' );
}

/**
 * The choices are kept by WordPress itself, which asks for nonce and capability.
 */
function aerie_chat_register_settings() {
	register_setting(
		'aerie_chat',
		'aerie_chat_settings',
		array(
			'type'              => 'array',
			'sanitize_callback' => 'aerie_chat_sanitize_settings',
			'show_in_rest'      => false,
		)
	);
}

/**
 * The page.
 */
function aerie_chat_show_page() {
	if ( ! current_user_can( 'manage_options' ) ) {
		wp_die( esc_html__( 'Only who may change the settings of this site may do that.', 'aerie-chat' ), '', array( 'response' => 403 ) );
	}
	$site    = aerie_chat_site();
	$outcome = aerie_chat_take_outcome();
	echo '<div class="wrap"><h1>' . esc_html__( 'Aerie Chat', 'aerie-chat' ) . '</h1>';
	if ( $outcome ) {
		aerie_chat_show_notice( $outcome['type'], $outcome['text'], $outcome['remedies'] );
	}
	if ( $site ) {
		aerie_chat_show_connection( $site );
		aerie_chat_show_settings();
	} else {
		aerie_chat_show_forms( $outcome ? $outcome['typed'] : array() );
	}
	echo '</div>';
}

/**
 * How what this admin asked for ended, told once.
 *
 * @return array|null
 */
function aerie_chat_take_outcome() {
	$outcome = get_transient( 'aerie_chat_outcome' );
	if ( ! is_array( $outcome ) || get_current_user_id() !== $outcome['user'] ) {
		return null;
	}
	delete_transient( 'aerie_chat_outcome' );
	return $outcome;
}

/**
 * A box that says what happened, and what can be done.
 *
 * @param string $type     error, warning, success or info.
 * @param string $text     Plain text.
 * @param array  $remedies Plain texts.
 */
function aerie_chat_show_notice( $type, $text, array $remedies = array() ) {
	echo '<div class="notice inline notice-' . esc_attr( $type ) . '" role="' . ( 'error' === $type ? 'alert' : 'status' ) . '"><p><strong>' . esc_html( $text ) . '</strong></p>';
	if ( $remedies ) {
		echo '<ul class="ul-disc">';
		foreach ( $remedies as $remedy ) {
			echo '<li>' . esc_html( $remedy ) . '</li>';
		}
		echo '</ul>';
	}
	echo '</div>';
}

/**
 * Before the site is connected: two ways to do it.
 *
 * @param array $typed What was typed when it failed: server, admin_email.
 */
function aerie_chat_show_forms( array $typed ) {
	$server = isset( $typed['server'] ) ? $typed['server'] : '';
	$knows  = isset( $typed['admin_email'] ) && '' === $typed['admin_email']; // The second form has no such field.
	$email  = ! empty( $typed['admin_email'] ) ? $typed['admin_email'] : wp_get_current_user()->user_email;
	?>
	<p><?php esc_html_e( 'Connect this site with your Aerie server. It calls this site back to make sure that it is yours, and makes a team and an agent for it.', 'aerie-chat' ); ?></p>
	<form method="post" action="<?php echo esc_url( admin_url( 'admin-post.php' ) ); ?>">
		<?php aerie_chat_show_action( 'aerie_chat_register' ); ?>
		<table class="form-table" role="presentation">
			<?php
			aerie_chat_show_field( 'server', __( 'Address of the server', 'aerie-chat' ), $server, 'url', __( 'Such as https://chat.example.com', 'aerie-chat' ) );
			aerie_chat_show_field( 'admin_email', __( 'Your e-mail address', 'aerie-chat' ), $email, 'email', __( 'Becomes the admin of the team on the server. The password is set by mail, as one that was forgotten.', 'aerie-chat' ) );
			?>
		</table>
		<?php submit_button( __( 'Register this site', 'aerie-chat' ), 'primary', 'register' ); ?>
	</form>
	<details<?php echo $knows ? ' open' : ''; ?>>
		<summary><?php esc_html_e( 'Connect with credentials that you have', 'aerie-chat' ); ?></summary>
		<p><?php esc_html_e( 'For a site that is registered already, or an agent that somebody made for it. The agent must allow this site as an origin.', 'aerie-chat' ); ?></p>
		<form method="post" action="<?php echo esc_url( admin_url( 'admin-post.php' ) ); ?>">
				<?php aerie_chat_show_action( 'aerie_chat_connect' ); ?>
			<table class="form-table" role="presentation">
				<?php
				aerie_chat_show_field( 'server', __( 'Address of the server', 'aerie-chat' ), $server, 'url', '', 'known-server' );
				aerie_chat_show_field( 'tenant_id', __( 'Id of the team', 'aerie-chat' ), '', 'text' );
				aerie_chat_show_field( 'chatbot_id', __( 'Id of the agent', 'aerie-chat' ), '', 'text' );
				aerie_chat_show_field( 'api_key', __( 'API key', 'aerie-chat' ), '', 'password' );
				?>
			</table>
			<?php submit_button( __( 'Connect', 'aerie-chat' ), 'secondary', 'connect' ); ?>
		</form>
	</details>
	<?php
}

/**
 * What a form does, and its nonce. wp_nonce_field() would give each on the page the same id.
 *
 * @param string $action Also the name of the nonce.
 */
function aerie_chat_show_action( $action ) {
	printf( '<input type="hidden" name="action" value="%s"><input type="hidden" name="_wpnonce" value="%s">', esc_attr( $action ), esc_attr( wp_create_nonce( $action ) ) );
}

/**
 * A row of a form with one line to fill.
 *
 * @param string $name  Of the field.
 * @param string $label Above it.
 * @param string $value In it.
 * @param string $type  url, email, text or password.
 * @param string $help  Below it.
 * @param string $id    Where the name is on the page twice.
 */
function aerie_chat_show_field( $name, $label, $value, $type, $help = '', $id = '' ) {
	$id = 'aerie-chat-' . ( '' === $id ? str_replace( '_', '-', $name ) : $id );
	printf(
		'<tr><th scope="row"><label for="%1$s">%2$s</label></th><td><input type="%3$s" class="regular-text" id="%1$s" name="%4$s" value="%5$s" required autocomplete="off"%6$s>',
		esc_attr( $id ),
		esc_html( $label ),
		esc_attr( $type ),
		esc_attr( $name ),
		esc_attr( $value ),
		'' === $help ? '' : ' aria-describedby="' . esc_attr( $id ) . '-help"'
	);
	if ( '' !== $help ) {
		echo '<p class="description" id="' . esc_attr( $id ) . '-help">' . esc_html( $help ) . '</p>';
	}
	echo '</td></tr>';
}

/**
 * Where the site is connected, and how it is.
 *
 * @param array $site From aerie_chat_site().
 */
function aerie_chat_show_connection( array $site ) {
	$status = aerie_chat_status();
	if ( ! $status['is_good'] ) {
		aerie_chat_show_notice( 'error', $status['text'], $status['remedies'] );
	}
	if ( aerie_chat_site_url() !== $site['site_url'] ) {
		/* translators: 1: an address, 2: another address */
		$text = sprintf( __( 'This site was connected as %1$s, and is at %2$s now.', 'aerie-chat' ), $site['site_url'], aerie_chat_site_url() );
		aerie_chat_show_notice( 'warning', $text, array( __( 'Add the new address to the agent\'s allowed origins in the console, or the widget is refused.', 'aerie-chat' ) ) );
	}
	if ( 0 === strpos( home_url(), 'https:' ) && 0 === strpos( $site['server'], 'http:' ) ) {
		aerie_chat_show_notice(
			'warning',
			__( 'This site is https and the server is not: browsers refuse to load the widget.', 'aerie-chat' ),
			array( __( 'Give the server a certificate, then disconnect and connect again with its https:// address.', 'aerie-chat' ) )
		);
	}
	$states = array(
		'good'    => __( 'Connected: the server accepts this site.', 'aerie-chat' ),
		'refused' => __( 'Refused: the server does not accept this site.', 'aerie-chat' ),
	);
	$state  = isset( $states[ $status['code'] ] ) ? $states[ $status['code'] ] : __( 'Unknown: the server did not say.', 'aerie-chat' );
	$rows   = array(
		__( 'Server', 'aerie-chat' )  => $site['server'],
		__( 'Team', 'aerie-chat' )    => $site['tenant_id'],
		__( 'Agent', 'aerie-chat' )   => $site['chatbot_id'],
		__( 'API key', 'aerie-chat' ) => $site['key_start'] . '…',
		__( 'Admin', 'aerie-chat' )   => $site['admin_email'],
	);
	echo '<h2>' . esc_html__( 'Connection', 'aerie-chat' ) . '</h2><table class="form-table" id="aerie-chat-connection">';
	echo '<tr><th scope="row">' . esc_html__( 'Status', 'aerie-chat' ) . '</th><td><strong>' . esc_html( $state ) . '</strong></td></tr>';
	foreach ( array_filter( $rows, 'strlen' ) as $label => $value ) {
		echo '<tr><th scope="row">' . esc_html( $label ) . '</th><td><code>' . esc_html( $value ) . '</code></td></tr>';
	}
	echo '</table><div>';
	echo '<a class="button" target="_blank" rel="noopener" href="' . esc_url( $site['server'] . '/console' ) . '">' . esc_html__( 'Open the console', 'aerie-chat' ) . '</a> ';
	aerie_chat_show_button( 'aerie_chat_check', __( 'Check again', 'aerie-chat' ) );
	aerie_chat_show_button( 'aerie_chat_disconnect', __( 'Disconnect', 'aerie-chat' ), __( 'The key is forgotten here, and the widget leaves the pages. To connect again you need a new key from the console.', 'aerie-chat' ) );
	echo '</div>';
}

/**
 * A button that is a form of its own.
 *
 * @param string $action What it does, also the name of its nonce.
 * @param string $label  On it.
 * @param string $ask    Asked before, if anything.
 */
function aerie_chat_show_button( $action, $label, $ask = '' ) {
	?>
	<form method="post" action="<?php echo esc_url( admin_url( 'admin-post.php' ) ); ?>" style="display: inline"
		<?php echo '' === $ask ? '' : 'onsubmit="return confirm( this.dataset.ask )" data-ask="' . esc_attr( $ask ) . '"'; ?>>
		<?php aerie_chat_show_action( $action ); ?>
		<button type="submit" class="button"><?php echo esc_html( $label ); ?></button>
	</form>
	<?php
}

/**
 * The owner's choices.
 */
function aerie_chat_show_settings() {
	$settings = aerie_chat_settings();
	$name     = static function ( $key ) {
		return 'aerie_chat_settings[' . $key . ']';
	};
	?>
	<form method="post" action="<?php echo esc_url( admin_url( 'options.php' ) ); ?>">
		<?php settings_fields( 'aerie_chat' ); ?>
		<h2><?php esc_html_e( 'Where the widget is', 'aerie-chat' ); ?></h2>
		<table class="form-table" role="presentation">
			<tr><th scope="row"><?php esc_html_e( 'Widget', 'aerie-chat' ); ?></th><td>
				<?php aerie_chat_show_box( 'checkbox', $name( 'enabled' ), '1', $settings['enabled'], __( 'Show it', 'aerie-chat' ) ); ?>
			</td></tr>
			<tr><th scope="row"><?php esc_html_e( 'Pages', 'aerie-chat' ); ?></th><td><fieldset>
				<legend class="screen-reader-text"><?php esc_html_e( 'Pages', 'aerie-chat' ); ?></legend>
				<?php
				aerie_chat_show_box( 'radio', $name( 'show' ), 'all', 'all' === $settings['show'], __( 'All of them', 'aerie-chat' ) );
				aerie_chat_show_box( 'radio', $name( 'show' ), 'chosen', 'chosen' === $settings['show'], __( 'Only these:', 'aerie-chat' ) );
				echo '<div style="margin-inline-start: 2em">';
				aerie_chat_show_box( 'checkbox', $name( 'front_page' ), '1', $settings['front_page'], __( 'the front page', 'aerie-chat' ) );
				foreach ( aerie_chat_post_types() as $type => $label ) {
					aerie_chat_show_box( 'checkbox', $name( 'post_types' ) . '[]', $type, in_array( $type, $settings['post_types'], true ), $label );
				}
				aerie_chat_show_box( 'checkbox', $name( 'other_pages' ), '1', $settings['other_pages'], __( 'lists, archives, search and all else', 'aerie-chat' ) );
				echo '</div>';
				?>
				<p class="description"><?php esc_html_e( 'The shortcode [aerie_chat] puts the chat into a text, whatever is chosen here.', 'aerie-chat' ); ?></p>
			</fieldset></td></tr>
			<tr><th scope="row"><?php esc_html_e( 'Not for', 'aerie-chat' ); ?></th><td><fieldset>
				<legend class="screen-reader-text"><?php esc_html_e( 'Not for', 'aerie-chat' ); ?></legend>
				<?php
				aerie_chat_show_box( 'radio', $name( 'hide_from' ), 'nobody', 'nobody' === $settings['hide_from'], __( 'nobody: everyone sees it', 'aerie-chat' ) );
				aerie_chat_show_box( 'radio', $name( 'hide_from' ), 'admins', 'admins' === $settings['hide_from'], __( 'admins who are signed in', 'aerie-chat' ) );
				aerie_chat_show_box( 'radio', $name( 'hide_from' ), 'members', 'members' === $settings['hide_from'], __( 'anyone who is signed in', 'aerie-chat' ) );
				?>
			</fieldset></td></tr>
		</table>
		<h2><?php esc_html_e( 'How it looks', 'aerie-chat' ); ?></h2>
		<p><?php esc_html_e( 'What is empty is as the agent has it in the console.', 'aerie-chat' ); ?></p>
		<table class="form-table" role="presentation">
			<tr><th scope="row"><label for="aerie-chat-title"><?php esc_html_e( 'Title', 'aerie-chat' ); ?></label></th><td>
				<input type="text" class="regular-text" maxlength="80" id="aerie-chat-title" name="<?php echo esc_attr( $name( 'title' ) ); ?>" value="<?php echo esc_attr( $settings['title'] ); ?>">
			</td></tr>
			<tr><th scope="row"><label for="aerie-chat-color"><?php esc_html_e( 'Colour', 'aerie-chat' ); ?></label></th><td>
				<input type="text" id="aerie-chat-color" name="<?php echo esc_attr( $name( 'color' ) ); ?>" value="<?php echo esc_attr( $settings['color'] ); ?>">
			</td></tr>
			<tr><th scope="row"><label for="aerie-chat-position"><?php esc_html_e( 'Position', 'aerie-chat' ); ?></label></th><td>
				<select id="aerie-chat-position" name="<?php echo esc_attr( $name( 'position' ) ); ?>">
					<option value=""><?php esc_html_e( 'as the agent has it', 'aerie-chat' ); ?></option>
					<option value="right" <?php selected( $settings['position'], 'right' ); ?>><?php esc_html_e( 'right', 'aerie-chat' ); ?></option>
					<option value="left" <?php selected( $settings['position'], 'left' ); ?>><?php esc_html_e( 'left', 'aerie-chat' ); ?></option>
				</select>
			</td></tr>
			<tr><th scope="row"><label for="aerie-chat-language"><?php esc_html_e( 'Language', 'aerie-chat' ); ?></label></th><td>
				<input type="text" maxlength="20" id="aerie-chat-language" name="<?php echo esc_attr( $name( 'language' ) ); ?>" value="<?php echo esc_attr( $settings['language'] ); ?>" aria-describedby="aerie-chat-language-help">
				<p class="description" id="aerie-chat-language-help"><?php esc_html_e( '"site" for the language of this site, "auto" for that of the visitor\'s browser, or a tag such as "de".', 'aerie-chat' ); ?></p>
			</td></tr>
		</table>
		<?php submit_button(); ?>
	</form>
	<?php
}

/**
 * A checkbox or a radio button with its label, on a line.
 *
 * @param string $type    checkbox or radio.
 * @param string $name    Of the field.
 * @param string $value   When it is chosen.
 * @param bool   $is_on   Whether it is.
 * @param string $label   Beside it.
 */
function aerie_chat_show_box( $type, $name, $value, $is_on, $label ) {
	printf(
		'<label><input type="%s" name="%s" value="%s"%s> %s</label><br>',
		esc_attr( $type ),
		esc_attr( $name ),
		esc_attr( $value ),
		checked( $is_on, true, false ),
		esc_html( $label )
	);
}
