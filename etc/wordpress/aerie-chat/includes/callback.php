<?php
/**
 * The server calls back while this site registers: whoever knows the token of the registration speaks for the site.
 *
 * @package Aerie_Chat
 */

defined( 'ABSPATH' ) || exit;

/**
 * Begins a registration.
 *
 * @return string The token that the server will bring back within five minutes. Only its digest is kept here.
 */
function aerie_chat_begin_callback() {
	$token = bin2hex( random_bytes( 32 ) );
	delete_transient( 'aerie_chat_stranger' );
	set_transient( 'aerie_chat_callback', hash( 'sha256', $token ), 5 * MINUTE_IN_SECONDS );
	return $token;
}

/**
 * Ends it: the token is good for nothing any more.
 *
 * @return string What had come: "right", "wrong" or "nothing".
 */
function aerie_chat_end_callback() {
	// Both ask the database itself: another process answered the server, and what this one remembers is old.
	$is_unused = delete_transient( 'aerie_chat_callback' );
	$is_wrong  = delete_transient( 'aerie_chat_stranger' );
	if ( ! $is_unused ) {
		return 'right';
	}
	return $is_wrong ? 'wrong' : 'nothing';
}

/**
 * Registers the route that the server calls.
 */
function aerie_chat_register_route() {
	register_rest_route(
		'eaglechat-plugin/v1',
		'/verify',
		array(
			'methods'             => 'POST',
			'callback'            => 'aerie_chat_verify',
			'permission_callback' => '__return_true', // The token is the permission.
			'args'                => array(
				'callback_token' => array(
					'type'      => 'string',
					'required'  => true,
					'minLength' => 16,
					'maxLength' => 256,
				),
			),
		)
	);
}

/**
 * Where permalinks are plain but the web server hands every address to WordPress, /wp-json/ would be the front page.
 *
 * @param WP $wp What was asked for.
 */
function aerie_chat_route_without_permalinks( $wp ) {
	if ( get_option( 'permalink_structure' ) || ! isset( $_SERVER['REQUEST_URI'] ) ) {
		return;
	}
	$path = wp_parse_url( esc_url_raw( wp_unslash( $_SERVER['REQUEST_URI'] ) ), PHP_URL_PATH );
	$base = (string) wp_parse_url( home_url( '/' ), PHP_URL_PATH );
	if ( $base . 'wp-json/eaglechat-plugin/v1/verify' === $path ) {
		$wp->query_vars['rest_route'] = '/eaglechat-plugin/v1/verify';
	}
}

/**
 * Answers the server. The right token is good once: of two calls at the same time the database lets one remove it.
 *
 * @param WP_REST_Request $request With callback_token.
 * @return WP_REST_Response
 */
function aerie_chat_verify( WP_REST_Request $request ) {
	$expected = get_transient( 'aerie_chat_callback' );
	$given    = hash( 'sha256', $request['callback_token'] );
	if ( ! is_string( $expected ) ) {
		return new WP_REST_Response( array( 'success' => false ), 403 );
	}
	if ( ! hash_equals( $expected, $given ) ) {
		set_transient( 'aerie_chat_stranger', '1', 5 * MINUTE_IN_SECONDS );
		return new WP_REST_Response( array( 'success' => false ), 403 );
	}
	$is_first = delete_transient( 'aerie_chat_callback' );
	return new WP_REST_Response( array( 'success' => $is_first ), $is_first ? 200 : 403 );
}
