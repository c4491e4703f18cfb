<?php
/**
 * What the buttons of the settings page do: each asks for the capability and the nonce first, and leads back to the page.
 *
 * @package Aerie_Chat
 */

defined( 'ABSPATH' ) || exit;

/**
 * Ends the request unless an admin pressed that button.
 *
 * @param string $action Also the name of the nonce.
 */
function aerie_chat_demand( $action ) {
	if ( ! current_user_can( 'manage_options' ) ) {
		wp_die( esc_html__( 'Only who may change the settings of this site may do that.', 'aerie-chat' ), '', array( 'response' => 403 ) );
	}
	check_admin_referer( $action );
}

/**
 * A field of the form as text. Called after aerie_chat_demand().
 *
 * @param string $name Which.
 * @return string
 */
function aerie_chat_posted( $name ) {
	// phpcs:ignore WordPress.Security.NonceVerification.Missing -- aerie_chat_demand() has looked.
	return isset( $_POST[ $name ] ) && is_string( $_POST[ $name ] ) ? sanitize_text_field( wp_unslash( $_POST[ $name ] ) ) : '';
}

/**
 * Leads back to the page, which says how it ended.
 *
 * @param true|WP_Error $result From what was done.
 * @param string        $text   Says that it went well.
 */
function aerie_chat_return( $result, $text ) {
	$is_wrong = is_wp_error( $result );
	set_transient(
		'aerie_chat_outcome',
		array(
			'user'     => get_current_user_id(),
			'type'     => $is_wrong ? 'error' : 'success',
			'text'     => $is_wrong ? $result->get_error_message() : $text,
			'remedies' => $is_wrong ? (array) $result->get_error_data() : array(),
			'typed'    => $is_wrong ? array_map( 'aerie_chat_posted', array_combine( array( 'server', 'admin_email' ), array( 'server', 'admin_email' ) ) ) : array(),
		),
		MINUTE_IN_SECONDS
	);
	wp_safe_redirect( aerie_chat_page_url() );
	exit;
}

/**
 * Registers this site with a server.
 */
function aerie_chat_handle_register() {
	aerie_chat_demand( 'aerie_chat_register' );
	$server = aerie_chat_read_server( aerie_chat_posted( 'server' ) );
	$email  = sanitize_email( aerie_chat_posted( 'admin_email' ) );
	$result = $server;
	if ( ! is_wp_error( $server ) && ! is_email( $email ) ) {
		$result = new WP_Error( 'email', __( 'The e-mail address is not one.', 'aerie-chat' ), array( __( 'It becomes the admin of this site\'s team on the server.', 'aerie-chat' ) ) );
	} elseif ( ! is_wp_error( $server ) ) {
		$result = aerie_chat_register_site( $server, $email );
	}
	if ( ! is_wp_error( $result ) ) {
		aerie_chat_keep_site(
			array(
				'server'      => $server,
				'site_url'    => aerie_chat_site_url(),
				'admin_email' => $email,
				'tenant_id'   => sanitize_text_field( $result['tenant_id'] ),
				'chatbot_id'  => sanitize_text_field( $result['chatbot_id'] ),
			),
			sanitize_text_field( $result['api_key'] )
		);
	}
	aerie_chat_return( $result, __( 'This site is registered, and the widget is on its pages.', 'aerie-chat' ) );
}

/**
 * Connects this site with credentials that somebody has.
 */
function aerie_chat_handle_connect() {
	aerie_chat_demand( 'aerie_chat_connect' );
	$server  = aerie_chat_read_server( aerie_chat_posted( 'server' ) );
	$tenant  = aerie_chat_posted( 'tenant_id' );
	$chatbot = aerie_chat_posted( 'chatbot_id' );
	$key     = aerie_chat_posted( 'api_key' );
	$result  = $server;
	if ( ! is_wp_error( $server ) && ( '' === $tenant || '' === $key || ! preg_match( '/^[0-9a-f-]{36}$/Di', $chatbot ) ) ) {
		$result = new WP_Error( 'credentials', __( 'Team, agent and key are all needed.', 'aerie-chat' ), array( __( 'The server\'s console shows the ids of team and agent; a key is shown once, when it is made.', 'aerie-chat' ) ) );
	} elseif ( ! is_wp_error( $server ) ) {
		$result = aerie_chat_validate( $server, $tenant, $key );
	}
	if ( true === $result ) {
		aerie_chat_keep_site(
			array(
				'server'      => $server,
				'site_url'    => aerie_chat_site_url(),
				'admin_email' => '',
				'tenant_id'   => $tenant,
				'chatbot_id'  => strtolower( $chatbot ),
			),
			$key
		);
	}
	aerie_chat_return( $result, __( 'This site is connected, and the widget is on its pages.', 'aerie-chat' ) );
}

/**
 * Asks the server anew.
 */
function aerie_chat_handle_check() {
	aerie_chat_demand( 'aerie_chat_check' );
	delete_transient( 'aerie_chat_status' );
	wp_safe_redirect( aerie_chat_page_url() );
	exit;
}

/**
 * Forgets the server.
 */
function aerie_chat_handle_disconnect() {
	aerie_chat_demand( 'aerie_chat_disconnect' );
	aerie_chat_forget_site();
	aerie_chat_return( true, __( 'This site is disconnected, and the widget is off its pages. On the server its team, agent and chats are still there.', 'aerie-chat' ) );
}
