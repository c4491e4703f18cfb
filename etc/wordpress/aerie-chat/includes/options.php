<?php
/**
 * What is kept in the database. uninstall.php removes each of these by its name.
 *
 * The option aerie_chat_settings: what the owner chose; aerie_chat_site: where the site is connected, nothing secret;
 * aerie_chat_key: the API key, loaded only where it is used. The transient aerie_chat_callback: the digest of the token of a
 * registration under way; aerie_chat_stranger: a call came meanwhile that did not know it; aerie_chat_status: what the server said last;
 * aerie_chat_outcome: how what somebody just asked for ended, until the page has shown it.
 *
 * @package Aerie_Chat
 */

defined( 'ABSPATH' ) || exit;

/**
 * The owner's choices, each of them there.
 *
 * @return array
 */
function aerie_chat_settings() {
	$defaults = array(
		'enabled'     => true,
		'show'        => 'all',
		'post_types'  => array(),
		'front_page'  => true,
		'other_pages' => false,
		'hide_from'   => 'nobody',
		'title'       => '',
		'color'       => '',
		'position'    => '',
		'language'    => '',
	);
	$kept     = get_option( 'aerie_chat_settings' );
	return array_merge( $defaults, is_array( $kept ) ? $kept : array() );
}

/**
 * Where this site is connected: server, site_url, admin_email, tenant_id, chatbot_id, key_start. Empty when it is not.
 *
 * @return array
 */
function aerie_chat_site() {
	$site = get_option( 'aerie_chat_site' );
	return is_array( $site ) && ! empty( $site['server'] ) && ! empty( $site['chatbot_id'] ) ? $site : array();
}

/**
 * Remembers what the server gave.
 *
 * @param array  $site    As aerie_chat_site() returns it, but for key_start.
 * @param string $api_key The key, whole.
 */
function aerie_chat_keep_site( array $site, $api_key ) {
	$site['key_start'] = substr( $api_key, 0, 8 );
	delete_option( 'aerie_chat_key' ); // update_option() keeps how an option is loaded; add_option() says it.
	add_option( 'aerie_chat_key', $api_key, '', 'no' );
	update_option( 'aerie_chat_site', $site );
	delete_transient( 'aerie_chat_status' );
}

/**
 * Forgets where this site was connected. The choices stay.
 */
function aerie_chat_forget_site() {
	delete_option( 'aerie_chat_key' );
	delete_option( 'aerie_chat_site' );
	delete_transient( 'aerie_chat_status' );
}

/**
 * The address of this site as the server knows it.
 *
 * @return string
 */
function aerie_chat_site_url() {
	return untrailingslashit( home_url() );
}

/**
 * What came from the form, as it may be kept. What is no choice becomes the default.
 *
 * @param mixed $input From the browser, unslashed.
 * @return array
 */
function aerie_chat_sanitize_settings( $input ) {
	$input = is_array( $input ) ? $input : array();
	$text  = static function ( $name ) use ( $input ) {
		return isset( $input[ $name ] ) && is_scalar( $input[ $name ] ) ? sanitize_text_field( (string) $input[ $name ] ) : '';
	};
	$one   = static function ( $name, array $allowed ) use ( $text ) {
		return in_array( $text( $name ), $allowed, true ) ? $text( $name ) : $allowed[0];
	};
	$types = isset( $input['post_types'] ) && is_array( $input['post_types'] ) ? $input['post_types'] : array();

	$language = $text( 'language' );
	if ( strlen( $language ) > 20 || ! preg_match( '/^([A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*)?$/D', $language ) ) {
		aerie_chat_tell( 'language', __( 'The language must be empty, "auto", "site", or a tag such as "en" or "pt-BR". It was left out.', 'aerie-chat' ) );
		$language = '';
	}
	$color = $text( 'color' );
	if ( '' !== $color && ! preg_match( '/^#[0-9a-fA-F]{6}$/D', $color ) ) {
		aerie_chat_tell( 'color', __( 'The colour must be six hexadecimal digits after a "#", such as #2456a6. It was left out.', 'aerie-chat' ) );
		$color = '';
	}
	return array(
		'enabled'     => ! empty( $input['enabled'] ),
		'show'        => $one( 'show', array( 'all', 'chosen' ) ),
		'post_types'  => array_values( array_intersect( array_filter( $types, 'is_string' ), array_keys( aerie_chat_post_types() ) ) ),
		'front_page'  => ! empty( $input['front_page'] ),
		'other_pages' => ! empty( $input['other_pages'] ),
		'hide_from'   => $one( 'hide_from', array( 'nobody', 'admins', 'members' ) ),
		'title'       => mb_substr( $text( 'title' ), 0, 80 ),
		'color'       => strtolower( $color ),
		'position'    => $one( 'position', array( '', 'right', 'left' ) ),
		'language'    => $language,
	);
}

/**
 * The kinds of content that have pages of their own.
 *
 * @return array Name => label.
 */
function aerie_chat_post_types() {
	return wp_list_pluck( get_post_types( array( 'public' => true ), 'objects' ), 'label', 'name' );
}

/**
 * Says that a choice was left out. Outside of the administration nobody would read it.
 *
 * @param string $code Which.
 * @param string $text Plain text.
 */
function aerie_chat_tell( $code, $text ) {
	if ( function_exists( 'add_settings_error' ) ) {
		add_settings_error( 'aerie_chat', 'aerie_chat_' . $code, esc_html( $text ), 'error' );
	}
}
